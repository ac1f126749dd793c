"""Searches in two processes beside the same in one; each is run once for all tests that look at it."""

import pytest
import torch
from processes import together, values
from small_search import BATCH, STEPS, log, search


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a search, and what each of its processes found."""
    known = {}

    def run(case, size, lam_x=None):
        if (case, size, lam_x) not in known:
            folder = tmp_path_factory.mktemp(f"{case}-{size}")
            known[case, size, lam_x] = folder, values(search, case, folder, False, lam_x, size=size)
        return known[case, size, lam_x]

    return run


@pytest.fixture
def found(finished):
    return lambda case, size, rank=0, lam_x=None: finished(case, size, lam_x)[1][rank]


def assert_alike(one, two):
    """The same road to the same end; weights and scores up to the order of sums."""
    assert one["theta"] == two["theta"]
    assert one["architecture"] == two["architecture"]
    for mine, theirs in zip(one["finalists"], two["finalists"], strict=True):
        assert mine[0] == theirs[0]
        assert mine[1:] == pytest.approx(theirs[1:], abs=1e-4)
    for name, weight in one["weights"].items():
        mine, theirs = torch.tensor(weight), torch.tensor(two["weights"][name])
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "lam_x"),
    [
        *(("plain", 2), ("jitter", 2), ("final", 2), ("three finalists", 2), ("two", 2), ("three", 4)),
        ("cost", 2),
        *(pytest.param(case, 2, marks=pytest.mark.slow) for case in ("two and final", "shared and final")),
    ],
)
def test_two_processes_find_what_one_does_with_lambda_x_raised_to_a_multiple(case, lam_x, found):
    assert_alike(found(case, 1, lam_x=lam_x), found(case, 2))


def test_three_processes_find_what_one_does(found):
    assert_alike(found("plain", 1, lam_x=3), found("plain", 3))


@pytest.mark.slow
def test_more_processes_than_finalists_find_what_one_does(found):
    assert_alike(found("final", 1, lam_x=3), found("final", 3))


@pytest.mark.parametrize(("size", "lam_x"), [(1, 1), (2, 2), (3, 3)])
def test_the_log_says_how_many_architectures_a_step_trains(size, lam_x, finished):
    assert log(finished("plain", size)[0])[0]["lam_x"] == lam_x


@pytest.mark.parametrize("case", ["plain", "dropout", "bfloat16"])
def test_all_processes_end_with_the_same_bits(case, finished):
    first, second = finished(case, 2)[1]
    assert first["weights"] == second["weights"]
    assert first["theta"] == second["theta"]


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_takes_all_batches_of_one(rank, found):
    looked = found("plain", 2, rank)["taken"][:BATCH]  # at the start, to compare the first batch
    assert looked + found("plain", 1)["taken"] == found("plain", 2, rank)["taken"]


def test_each_process_trains_a_share_of_the_architectures_and_finalists_of_its_own(finished):
    alone, (first, second) = finished("final", 1, 2)[1][0], finished("final", 2)[1]
    assert first["passes"] + second["passes"] == alone["passes"]
    assert second["passes"] == pytest.approx(
        alone["passes"] / 4, abs=1
    )  # the best trains twice as long again
    first = finished("shared and final", 2)[1][0]
    assert first["traffic"]["messages"] == first["steps"] > 0  # none while finalists are trained


@pytest.mark.parametrize("case", ["plain", "two", "cost"])
def test_what_is_summed_up_are_the_gradients_of_the_sampled_paths(case, found):
    traffic = found(case, 2)["traffic"]
    assert traffic["reduced"] == traffic["gradients"] > 0
    assert traffic["messages"] == STEPS  # one bucket a step
    alone = found(case, 1, lam_x=2)["traffic"]
    assert alone == {"reduced": 0, "messages": 0, "gradients": traffic["gradients"]}


def test_a_loss_that_is_not_finite_in_one_process_leaves_the_step_out_in_both(finished):
    folder, (first, second) = finished("nan", 2)
    assert first["weights"] == second["weights"]
    assert all(torch.tensor(weight).isfinite().all() for weight in first["weights"].values())
    losses = [event["loss"] for event in log(folder) if event["event"] == "step"]
    assert losses.count(None) == 1


def test_the_log_is_written_once(finished):
    folder, both = finished("plain", 2)
    events = [event["event"] for event in log(folder)]
    assert [events.count(name) for name in ("start", "step", "end")] == [1, STEPS, 1]
    assert both[0]["steps"] == both[1]["steps"] == STEPS


def test_processes_that_drift_apart_end_with_an_error_at_that_step():
    for ended in together(search, "drift"):
        assert ended.code == 1
        assert ended.error.startswith(
            "RunError: theta, its generator and the batches: expected the same in all 2 processes, got "
        )


@pytest.mark.parametrize(
    ("case", "before", "after"),
    [("kill", 2, 1), ("terminate", 2, 1), ("interrupt", 2, 3), ("terminate", 1, 2)],
)
def test_a_run_that_was_ended_is_resumed_by_another_number_of_processes(case, before, after, found, tmp_path):
    together(search, case, tmp_path, size=before)
    assert 0 < max(event.get("step", 0) for event in log(tmp_path)) < STEPS
    resumed = values(search, "plain", tmp_path, True, size=after)
    assert_alike(found("plain", 1, lam_x=before), resumed[0])
    assert [event["step"] for event in log(tmp_path) if event["event"] == "step"] == [*range(1, STEPS + 1)]


@pytest.mark.parametrize(
    ("case", "before", "after"),
    [
        (case, *sizes)
        for case in ("kill in final", "terminate in final")
        for sizes in ((2, 1), (1, 2), (2, 2))
    ],
)
@pytest.mark.slow
def test_a_final_that_was_ended_is_resumed_by_another_number_of_processes(
    case, before, after, found, tmp_path
):
    together(search, case, tmp_path, size=before)
    names = [event["event"] for event in log(tmp_path)]
    assert "finalists" in names
    assert "finished" not in [event.get("reason") for event in log(tmp_path)]
    resumed = values(search, "final", tmp_path, True, size=after)
    assert_alike(found("final", 1, lam_x=before), resumed[0])
    assert [event["event"] for event in log(tmp_path)].count("finalist") == 3  # the best came twice
