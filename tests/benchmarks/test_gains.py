"""What several seeds of found networks are worth beside their random peers."""

import pytest

from asng.report import estimate_worth, mean_worth
from benchmarks.paper.gains import gains

PEERS = [0.80, 0.82, 0.84]
ROWS = [
    {"found": 0.86, "random": PEERS, "gain": 0.04, "rank": 1, "search_seconds": 6.0, "train_seconds": 2.0},
    {"found": 0.81, "random": PEERS, "gain": -0.01, "rank": 3, "search_seconds": 5.0, "train_seconds": 1.0},
]


def test_the_worth_is_that_of_the_mean_rank_and_the_cost_is_in_trainings():
    figures = gains(ROWS)
    worth = mean_worth([estimate_worth(row["found"], PEERS).value for row in ROWS])
    assert figures["worth"] == pytest.approx(worth, abs=0.01)
    assert figures["cost"] == 4.0
    assert figures["worth_over_cost"] == pytest.approx(worth / 4.0, abs=0.01)
    assert (figures["seeds_with_gain"], figures["seeds_with_found_first"]) == (1, 1)


def test_where_less_is_better_the_worse_network_is_worth_less():
    errors = [{**row, "found": 1.64 - row["found"]} for row in ROWS]  # as far on the other side of the mean
    assert gains(errors, higher_is_better=False)["worth"] == pytest.approx(gains(ROWS)["worth"])


def test_without_seconds_there_is_no_cost():
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in ROWS]
    assert "cost" not in gains(rows)
