import math

import pytest
from run_folders import result, write_json

from asng.report.verdict import compare, seeds_verdict, verdict
from asng.runs.results import Result, SeedScore, Summary
from asng.runs.stored import read_stored


@pytest.fixture
def read(tmp_path):
    def build(*args, **kwargs):
        write_json(tmp_path / "result.json", result(*args, **kwargs))
        return read_stored(tmp_path / "result.json", Result)

    return build


def test_a_better_network_is_said_to_be_better(read):
    assert verdict(read(0.861, (0.853, 0.842, 0.842, 0.831))) == (
        "The found network scored 0.861, its 4 random peers 0.842 +- 0.009: better by 0.019 (rank 1 of 5)."
    )


def test_a_worse_network_is_said_not_to_be_better(read):
    sentence = verdict(read(0.830, (0.853, 0.842, 0.842, 0.831)))
    assert (
        "NOT better than the mean of its random peers on this seed (worse by 0.012, rank 5 of 5)" in sentence
    )


def test_an_equal_network_is_not_better(read):
    assert "NOT better" in verdict(read(0.5, (0.5, 0.5)))
    assert compare(read(0.5, (0.5, 0.5))).rank == 1


@pytest.mark.parametrize("score", [0.1, 1 / 3, 0.9137, 17.3, -2e-7])
@pytest.mark.parametrize("peers", [1, 6, 9, 10])
def test_equal_scores_are_a_tie_to_the_last_bit(score, peers, read):
    tie = compare(read(score, (score,) * peers))
    assert (tie.gain, tie.rank, tie.tied) == (0.0, 1, peers)
    assert verdict(read(score, (score,) * peers)).endswith(
        "NOT better than the mean of its random peers on this seed (a tie with that mean, tied first of "
        f"{peers + 1})."
    )


@pytest.mark.parametrize(
    ("found", "place"),
    [(0.9, "tied first of 5"), (0.8, "rank 2 of 5"), (0.7, "tied at rank 2 of 5"), (0.1, "rank 5 of 5")],
)
def test_a_rank_that_peers_share_says_so(found, place, read):
    peers = (0.9, 0.7, 0.7, 0.5)
    assert compare(read(found, peers)).place == place
    assert place in verdict(read(found, peers))


def test_the_best_of_unequal_peers_may_be_shared(read):
    assert "better by 0.100 (tied first of 3)" in verdict(read(0.9, (0.9, 0.7)))


def test_a_gain_within_the_spread_of_the_peers_is_called_chance(read):
    assert verdict(read(0.846, (0.853, 0.842, 0.842, 0.831))).endswith("it may be chance.")


def test_where_lower_is_better_less_is_a_gain(read):
    better = read(0.2, (0.3, 0.5), metric="loss", higher_is_better=False)
    assert compare(better).gain == pytest.approx(0.2)
    assert compare(better).rank == 1
    assert "NOT better" in verdict(read(0.6, (0.3, 0.5), higher_is_better=False))


def test_one_peer_has_no_spread(read):
    assert "its 1 random peer 0.850: better by 0.011 (rank 1 of 2)." in verdict(read(0.861, (0.85,)))


def test_peers_that_failed_are_left_out(read):
    assert compare(read(0.8, (0.7, None))).peers == 1


@pytest.mark.parametrize("missing", [{"randoms": ()}, {"found": None}])
def test_without_both_scores_nothing_is_claimed(read, missing):
    sentence = verdict(read(**missing))
    assert "not known" in sentence
    assert "better" not in sentence
    assert "not known" in verdict(Result())


def seeds(*pairs, higher=True):
    scores = [
        SeedScore(found, mean, 0.01, seed=k, inherited=math.nan, folder=None)
        for k, (found, mean) in enumerate(pairs)
    ]
    return Summary("accuracy", higher, tuple(scores))


def test_several_seeds_are_summed_up():
    sentence = seeds_verdict(seeds((0.86, 0.84), (0.87, 0.84), (0.88, 0.85), (math.nan, 0.8)))
    assert "better than random on 3 of 3, by 0.027 +- 0.006 on average." in sentence
    assert sentence.endswith("1 seed(s) without both scores are left out.")


def test_several_seeds_that_lost_are_told_so():
    assert "NOT better" in seeds_verdict(seeds((0.80, 0.84), (0.85, 0.84)))
    assert "NOT better" in seeds_verdict(seeds((0.86, 0.84), higher=False))


def test_several_seeds_that_tie_are_told_so():
    sentence = seeds_verdict(seeds((0.5, 0.5), (0.5, 0.5), (0.6, 0.5)))
    assert "better than random on 1 of 3, a tie on 2, by 0.033" in sentence
    assert "NOT better" in seeds_verdict(seeds((0.5, 0.5), (0.5, 0.5)))


def test_a_gain_that_varies_as_much_as_it_is_large_is_called_chance():
    assert "it may be chance" in seeds_verdict(seeds((0.90, 0.84), (0.83, 0.84)))


def test_no_seed_with_both_scores_claims_nothing():
    assert "not known" in seeds_verdict(seeds((math.nan, 0.8)))
