import math

import numpy as np
import pytest
from run_folders import result, write_json

from asng.report.comparison import compare, share_error
from asng.report.verdict import seeds_verdict, verdict
from asng.report.words import about
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
        "The found network scored 0.861, its 4 random peers 0.842 +- 0.009: better by 0.019 (rank 1 of 5). "
        "It is worth 12 random networks (2.1 to 6,700 with 90 % confidence), at the cost of 40 trainings: "
        "0.29 per training."
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
    assert (
        "NOT better than the mean of its random peers on this seed (a tie with that mean, tied first of "
        f"{peers + 1}). By rank alone it is worth {about(peers / (peers + 2))} random networks (its peers "
        "set no bounds), at the cost of"
    ) in verdict(read(score, (score,) * peers))


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
    sentence = verdict(read(0.846, (0.853, 0.842, 0.842, 0.831)))
    assert ". That is within one standard deviation of the random peers: it may be chance. It is" in sentence


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


def test_a_gain_that_the_test_items_may_make_is_called_chance(read):
    peers = (0.84, 0.84, 0.85)
    few, many, unknown = (verdict(read(0.86, peers, test_items=n)) for n in (100, 100_000, None))
    assert "That is within two standard errors of the 100 test items (0.050 each): it may be chance." in few
    assert "chance" not in many
    assert "chance" not in unknown


def test_both_doubts_are_told_in_one_sentence(read):
    sentence = verdict(read(0.86, (0.84, 0.80, 0.90), test_items=100))
    assert (
        "That is within one standard deviation of the random peers, and within two standard errors of the "
        "100 test items (0.050 each): it may be chance."
    ) in sentence


def test_the_error_of_items_drawn_by_chance_is_that_of_counts():
    rng = np.random.default_rng(0)
    found, other = rng.binomial(400, 0.8, 20_000) / 400, rng.binomial(400, 0.7, 20_000) / 400
    # The spread of 20,000 differences is known to 0.5 %: off by 3 % once in 10^9.
    assert share_error([0.8], [0.7], 400) == pytest.approx((found - other).std(), rel=0.03)


@pytest.mark.parametrize("score", [0.8001, 1.25, -0.25])
def test_a_score_that_counts_no_items_has_no_error_of_counts(score):
    assert math.isnan(share_error([score], [0.75], 100))
    assert math.isnan(share_error([0.75], [score], 100))


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (0.81, "Your baseline scored 0.810: the found network is better by 0.050."),
        (0.92, "Your baseline scored 0.920: the found network is WORSE by 0.060."),
        (0.86, "Your baseline scored 0.860: the found network is tied with it."),
        (
            0.855,
            "Your baseline scored 0.855: the found network is better by 0.005, within one standard deviation "
            "of the random peers, and within two standard errors of the 20,000 test items (0.003 each): "
            "it may be chance.",
        ),
    ],
)
def test_the_found_network_is_held_against_a_baseline(baseline, words, read):
    peers = (0.84, 0.83, 0.82)
    assert words in verdict(read(0.86, peers, baseline={"score": baseline}, test_items=20_000))


def test_a_baseline_is_told_of_without_peers_too(read):
    words = verdict(read(0.86, (), baseline={"score": 0.81}))
    assert words.endswith("is not known. Your baseline scored 0.810: the found network is better by 0.050.")
    assert "better than it on 1 of 1" in seeds_verdict(seeds((0.86, math.nan), baseline=0.81))


def test_scores_too_great_for_a_mean_have_a_rank(read):
    peers = (1.6e308, 1.6e308, -1e308)
    assert "By rank alone it is worth at least 3 random networks" in verdict(read(1.7e308, peers))


def test_a_search_whose_times_are_unknown_has_no_cost(read):
    assert "at the cost of" not in verdict(read(0.86, (0.84, 0.83), search_seconds=None))


def seeds(*pairs, higher=True, **more):
    scores = [
        SeedScore(found, mean, 0.01, seed=k, inherited=math.nan, folder=None, **more)
        for k, (found, mean) in enumerate(pairs)
    ]
    return Summary("accuracy", higher, tuple(scores))


def test_several_seeds_are_summed_up():
    sentence = seeds_verdict(seeds((0.86, 0.84), (0.87, 0.84), (0.88, 0.85), (math.nan, 0.8)))
    assert "better than random on 3 of 3, by 0.027 +- 0.006 on average (standard error 0.003)." in sentence
    assert sentence.startswith("Over 3 seeds the found networks scored 0.870 +- 0.010")
    assert sentence.endswith("Left out: 1 seed without both scores.")


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


def test_seeds_do_not_make_the_error_of_the_test_items_smaller():
    pairs = ((0.86, 0.84), (0.87, 0.85), (0.88, 0.86), (0.87, 0.85))
    for items, is_chance in ((100, True), (100_000, False)):
        sentence = seeds_verdict(seeds(*pairs, peers=(0.84, 0.86), test_items=items))
        assert ("it may be chance" in sentence) is is_chance
        assert ("standard errors of the 100 test items" in sentence) is is_chance


def test_the_worth_over_seeds_is_that_of_the_mean_rank():
    # By rank alone: first of three, last of three.
    sentence = seeds_verdict(seeds((0.9, 0.75), (0.6, 0.75), peers=(0.7, 0.8), trainings=4.0))
    assert (
        "A found network is worth 0.5 random ones (0 to 2 for single seeds), at the cost of 4 trainings: "
        "0.12 per training."
    ) in sentence


def test_seeds_are_held_against_the_baseline():
    good = seeds_verdict(seeds((0.86, 0.84), (0.88, 0.84), (0.87, 0.84), baseline=0.85))
    assert "Your baseline scored 0.850 +- 0: better than it on 3 of 3, by 0.020 +- 0.010 on average" in good
    assert "baseline" not in good.partition("Your baseline")[2]
    bad = seeds_verdict(seeds((0.86, 0.84), (0.88, 0.84), (0.87, 0.84), baseline=0.9))
    assert bad.endswith("They are NOT better than your baseline.")
