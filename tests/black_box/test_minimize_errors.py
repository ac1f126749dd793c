"""What cannot be searched is refused and leaves nothing; what fails on the way leaves a run to resume."""

import numpy as np
import pytest
from black_boxes import MIXED, SMALL, Counted, mixed, small

from asng.black_box import MinimizeStopRule, minimize
from asng.errors import InputError, RunError
from asng.optim import ASNG


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"f": 3}, "f: expected a function of an architecture, got 3"),
        ({"space": {"a": 1}}, r"space: expected an asng\.Space"),
        ({"budget": 0}, "budget: expected an integer >= 1, got 0"),
        ({"budget": 1.5}, "budget: expected an integer >= 1, got 1.5"),
        ({"seed": -1}, "seed: expected an integer >= 0"),
        ({"workers": 0}, "workers: expected an integer >= 1"),
        ({"workers": "two"}, "workers: expected an integer >= 1, got 'two'"),
        ({"optimizer": ASNG(MIXED)}, "optimizer: expected an optimiser over the space"),
        ({"optimizer": "asng"}, "optimizer: expected an optimiser over the space, got 'asng'"),
        ({"stop": 0.5}, "stop: expected an asng.black_box.MinimizeStopRule, got 0.5"),
        ({"callbacks": print}, "callbacks: expected a list of functions"),
        ({"callbacks": [1]}, "callbacks: expected a list of functions"),
        ({"noisy": 1}, "noisy: expected True or False, got 1"),
        ({"on_error": "warn"}, "on_error: expected one of 'raise', 'worst', got 'warn'"),
        ({"resume": True, "overwrite": True}, "expected at most one of them, got both"),
    ],
)
def test_unfit_arguments_are_refused_and_nothing_is_written(arguments, message, tmp_path):
    folder, flags = tmp_path / "run", {"f": small, "space": SMALL, "budget": 10} | arguments
    with pytest.raises(InputError, match=message):
        minimize(**flags, run_dir=folder)
    assert not folder.exists()


def test_what_is_no_folder_is_refused():
    with pytest.raises(InputError, match="run_dir: expected a path, got 3"):
        minimize(small, SMALL, 10, run_dir=3)


def test_resume_without_a_folder_is_refused():
    with pytest.raises(InputError, match="expected a run_dir with them, got none"):
        minimize(small, SMALL, 10, resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": float("nan")}, "target: expected a number"),
        ({"seconds": 0}, "seconds: expected a number in"),
        ({"patience": 0}, "patience: expected an integer >= 1"),
        ({"entropy": 2}, "entropy: expected a number in"),
    ],
)
def test_unfit_stop_rules_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        MinimizeStopRule(**arguments)


@pytest.mark.parametrize("at", [0, 5, 8, 13])
def test_a_failure_names_the_architecture_and_leaves_a_run_to_resume(at, tmp_path):
    f = Counted(mixed, dies_at=at, error=ZeroDivisionError("by nought"))
    with pytest.raises(RunError, match=r"f\(Architecture\(\{'op': .*ZeroDivisionError: by nought") as failure:
        minimize(f, MIXED, 30, run_dir=tmp_path)
    assert "in __call__" in str(failure.value.__cause__)
    assert len(f.calls) == at
    again = Counted(mixed)
    resumed = minimize(again, MIXED, 30, run_dir=tmp_path, resume=True)
    assert len(again.calls) == 30 - at
    assert resumed.history == minimize(mixed, MIXED, 30).history


@pytest.mark.parametrize("value", [None, "0.5", [1.0], 1j])
def test_what_is_no_number_is_no_loss(value):
    with pytest.raises(RunError, match="expected a number as the loss"):
        minimize(lambda a: value, SMALL, 10)


def test_failures_can_rank_worst():
    def f(a):
        if a["op"] == "b":
            raise MemoryError("too wide")
        return small(a)

    result = minimize(f, SMALL, 30, on_error="worst")
    assert result.architecture["op"] != "b"
    assert {one.error for one in result.history} == {None, "MemoryError: too wide"}
    with pytest.raises(KeyboardInterrupt):
        minimize(Counted(small, dies_at=3), SMALL, 30, on_error="worst")


class Frozen(Exception):
    """As a frozen dataclass, it takes no attribute."""

    def __setattr__(self, name, value):
        raise AttributeError(f"cannot assign to field {name!r}")


def test_an_error_of_the_user_that_takes_no_result_is_raised_as_it_is():
    def broken(progress):
        raise Frozen("of the user")

    with pytest.raises(Frozen, match="of the user"):
        minimize(small, SMALL, 10, callbacks=[broken])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(np.array([1, 2]), "exhausted"), (1, "exhausted"), (np.True_, "callback"), (True, "callback")],
)
def test_only_a_true_answer_of_a_callback_ends_the_search(answer, reason):
    assert minimize(small, SMALL, 1000, callbacks=[lambda progress: answer]).reason == reason


def test_an_earlier_run_stays_unless_it_is_to_be_replaced(tmp_path):
    minimize(small, SMALL, 10, run_dir=tmp_path)
    with pytest.raises(RunError, match="already contains a run"):
        minimize(small, SMALL, 10, run_dir=tmp_path)
    minimize(mixed, MIXED, 10, run_dir=tmp_path, overwrite=True)
    (tmp_path / "config.yaml").write_text("task: toy\n")
    for flags in ({}, {"overwrite": True}):
        with pytest.raises(RunError, match="contains"):
            minimize(small, SMALL, 10, run_dir=tmp_path, **flags)


def test_a_folder_that_cannot_be_one_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        minimize(small, SMALL, 10, run_dir=tmp_path / "file" / "run")


def test_a_result_without_a_folder_has_no_report():
    with pytest.raises(InputError, match="expected a search with a run_dir"):
        minimize(small, SMALL, 2).report()
