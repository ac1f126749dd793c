"""When one process ends, so do the others, and say why."""

import signal

import pytest
from processes import together
from small_search import FAILS, log, search


def test_a_killed_process_ends_the_others_with_an_error():
    first, second, killed = together(search, "kill", size=3)
    assert killed.code == -signal.SIGKILL
    for ended in (first, second):
        assert ended.code == 1
        assert ended.error.startswith(
            "LostProcess: processes: expected 3 that keep running, but process 2 has ended without a word: it"
        )
        assert "resume" in ended.error


def test_an_error_in_one_process_ends_the_others_and_is_told():
    other, failed = together(search, "raise")
    assert failed.error == "ValueError: this loss is wrong"
    assert "got an error in process 1: ValueError: this loss is wrong." in other.error


@pytest.mark.parametrize(
    ("case", "error"), [("terminate", "Terminated: 143"), ("interrupt", "KeyboardInterrupt: ")]
)
def test_a_signal_to_one_process_ends_all_after_the_same_step(case, error, tmp_path):
    for ended in together(search, case, tmp_path):
        assert (ended.code, ended.error) == (1, error)
    end = log(tmp_path)[-1]
    assert end.pop("seconds") > 0.0
    assert end == {"event": "end", "step": FAILS, "reason": "interrupted"}
