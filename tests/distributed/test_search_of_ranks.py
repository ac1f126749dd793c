"""Searches in two processes beside the same in one; each is run once for all tests that look at it."""

import pytest
import torch
from processes import together, values
from small_search import BATCH, ITEMS, PASSES, STEPS, log, search


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a search, and what each of its processes found."""
    known = {}

    def run(case, size):
        if (case, size) not in known:
            folder = tmp_path_factory.mktemp(f"{case}-{size}")
            known[case, size] = folder, values(search, case, folder, size=size)
        return known[case, size]

    return run


@pytest.fixture
def found(finished):
    return lambda case, size, rank=0: finished(case, size)[1][rank]


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


@pytest.mark.parametrize("case", ["plain", "jitter", "final", "two", "three", "two and final", "cost"])
def test_two_processes_find_what_one_does(case, found):
    assert_alike(found(case, 1), found(case, 2))


def test_three_processes_find_what_one_does(found):
    assert_alike(found("plain", 1), found("plain", 3))


def test_more_processes_than_items_in_the_last_batch_find_what_one_does(found):
    assert_alike(found("plain", 1), found("plain", 6))  # of 5 items


@pytest.mark.parametrize("case", ["plain", "dropout", "bfloat16"])
def test_all_processes_end_with_the_same_bits(case, finished):
    first, second = finished(case, 2)[1]
    assert first["weights"] == second["weights"]
    assert first["theta"] == second["theta"]


def test_each_process_loads_its_share_of_the_training_data_without_overlap(found):
    shares, whole = [found("plain", 2, rank)["taken"] for rank in (0, 1)], found("plain", 1)["taken"]
    # Before the first step: two items, the first batch, and two again, to see whether all load the same.
    looked = 2 + BATCH + 2
    shares = [items[looked:] for items in shares]
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    assert [len(items) for items in shares] == [PASSES * 22, PASSES * 28]  # 4 of 9 and 2 of 5; 5 and 3
    assert len(whole) == PASSES * ITEMS


def test_architectures_that_can_be_dealt_out_evenly_are_trained_on_whole_batches(found):
    whole, looked = found("two", 1)["taken"], 2 + BATCH + 2
    for rank in (0, 1):
        assert found("two", 2, rank)["taken"][looked:] == whole


@pytest.mark.parametrize("case", ["plain", "two", "cost"])
def test_what_is_summed_up_are_the_gradients_of_the_sampled_paths(case, found):
    traffic = found(case, 2)["traffic"]
    assert traffic["reduced"] == traffic["gradients"] > 0
    assert traffic["messages"] == STEPS  # one bucket a step
    alone = found(case, 1)["traffic"]
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
    first, second = together(search, "drift")
    for ended in (first, second):
        assert ended.code == 1
        assert (
            "RunError: theta, its generator and the order of batches: expected the same in all 2"
            in ended.error
        )


@pytest.mark.parametrize(
    ("case", "before", "after"),
    [("kill", 2, 1), ("terminate", 2, 1), ("interrupt", 2, 3), ("terminate", 1, 2)],
)
def test_a_run_that_was_ended_is_resumed_by_another_number_of_processes(case, before, after, found, tmp_path):
    together(search, case, tmp_path, size=before)
    assert 0 < max(event.get("step", 0) for event in log(tmp_path)) < STEPS
    resumed = values(search, "plain", tmp_path, True, size=after)
    assert_alike(found("plain", 1), resumed[0])
    assert [event["step"] for event in log(tmp_path) if event["event"] == "step"] == [*range(1, STEPS + 1)]
