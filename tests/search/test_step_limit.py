"""A step that hangs ends the search after a time that the user sets."""

import signal
import sys
import threading
import time

import pytest
import torch
from problems import at_step, fit, loader, mse, searcher

from asng.errors import InputError, RunError
from asng.search import StepLimit


def _hang():
    time.sleep(30)


def _hanging_objective(forward, batch):
    if not torch.is_grad_enabled():
        _hang()
    return mse(forward, batch)


HANGS = {
    "the loss in the search": ({"loss": at_step(9, _hang)}, "In the search, after "),
    "the objective": ({"minimize": _hanging_objective}, "In the search, after "),
    "the loss in the final": (
        {"loss": at_step(9, _hang), "final": 0.6, "finalists": 2, "warmup": 0.2},
        "In the final",
    ),
}


@pytest.mark.parametrize(
    "hang", [hang if "objective" in hang else pytest.param(hang, marks=pytest.mark.slow) for hang in HANGS]
)
def test_what_hangs_ends_the_search_and_is_in_the_traceback_and_the_run_goes_on(hang, tmp_path):
    settings, where = HANGS[hang]
    begun, handler = time.monotonic(), signal.getsignal(signal.SIGALRM)
    with pytest.raises(RunError, match=r"step: expected each to take at most 2 s") as caught:
        fit(searcher(callbacks=[StepLimit(2.0)], **settings), run_dir=tmp_path / "run", epochs=6)
    assert time.monotonic() - begun < 25
    assert "_hang" in [entry.name for entry in caught.traceback]
    assert any(where in note for note in getattr(caught.value, "__notes__", [str(caught.value.__cause__)]))
    assert (signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)) == (0.0, handler)
    settings = {name: value for name, value in settings.items() if name not in ("loss", "minimize")}
    if "minimize" not in HANGS[hang][0]:
        fit(searcher(callbacks=[StepLimit(2.0)], **settings), run_dir=tmp_path / "run", epochs=6, resume=True)


def test_a_search_that_does_not_hang_is_the_same_and_leaves_the_clock_alone():
    one, other = searcher(), searcher(callbacks=[StepLimit(60.0)])
    for search in (one, other):
        search.fit(loader(), loader(24), epochs=2, check=False, progress=False)
    weights = other.supernet.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.supernet.state_dict().items())
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


PAUSED = """
import os, signal, subprocess, time
from problems import at_step, fit, searcher
from asng.search import StepLimit

def pause():
    subprocess.Popen(["sh", "-c", f"kill -STOP {os.getpid()}; sleep 1; kill -CONT {os.getpid()}"])
    time.sleep(0.2)

fit(searcher(loss=at_step(5, pause), callbacks=[StepLimit(0.8)]))
print(signal.getsignal(signal.SIGCONT) == signal.SIG_DFL)
"""


def test_a_pause_of_the_process_is_no_part_of_a_step(run_script, tmp_path):
    begun = time.monotonic()
    assert run_script(f"import sys; sys.path[:0] = {sys.path}\n{PAUSED}", tmp_path).out == "True\n"
    assert time.monotonic() - begun > 1.0


def test_a_clock_that_cannot_be_had_is_told():
    raised = []

    def run():
        try:
            fit(searcher(callbacks=[StepLimit(1.0)]), epochs=1)
        except InputError as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "expected a search in the main thread" in raised[0]
    with pytest.raises(InputError, match=r"seconds: expected a number in \(0.0"):
        StepLimit(0.0)
