"""benchmarks/step/shared_work.py sees what passes read, and counts what they have in common."""

import pytest
import torch
from problems import fit, searcher

from benchmarks.step.shared_work import Pass, Step, figures, shared, watched


def passed(values, *, seconds=10.0):
    """A pass that read a variable each second from the second one on."""
    return Pass({name: (value, 1.0 + i) for i, (name, value) in enumerate(values.items())}, seconds)


def test_passes_are_alike_until_the_first_value_that_differs():
    one = passed({"a": 1, "b": 2, "c": 3})
    assert passed({"a": 1, "b": 2, "c": 3}).in_common(one) == 1.0
    assert passed({"a": 1, "b": 5, "c": 3}).in_common(one) == pytest.approx(0.2)
    assert passed({"a": 5, "b": 2, "c": 3}).in_common(one) == pytest.approx(0.1)
    assert passed({"a": 1, "d": 3}).in_common(one) == pytest.approx(0.2)  # went another way


def test_a_pass_shares_with_the_one_before_it_that_is_most_alike():
    passes = [
        passed({"a": 1, "b": 1}),
        passed({"a": 2, "b": 1}),
        passed({"a": 2, "b": 2}),
        passed({"a": 1, "b": 1}),
    ]
    equal, whole, begun = shared(passes)
    assert equal == 1
    assert whole == 10.0
    assert begun == pytest.approx(0.0 + 1.0 + 2.0 + 10.0)


def test_figures_are_shares_of_passes_and_of_steps():
    twins = [passed({"a": 1}), passed({"a": 1})]
    row = figures([Step(trained=[passed({"a": 1})], scored=twins, seconds=50.0)] * 2)
    assert row == {
        "steps": 2,
        "trained_equal": 0.0,
        "trained_in_common": 0.0,
        "trained_whole_of_step": 0.0,
        "trained_in_common_of_step": 0.0,
        "scored_equal": 0.5,
        "scored_in_common": 0.5,
        "scored_whole_of_step": 0.2,
        "scored_in_common_of_step": 0.2,
    }


def test_the_passes_of_a_search_are_seen_with_what_they_read():
    before = torch.nn.Module.__call__
    with watched() as steps:
        fit(searcher(lam_x=1, lam_theta=3, warmup=0.5), epochs=2)
    assert len(steps) == 6  # those of the second epoch: the first is the warm-up
    for step in steps:
        assert [len(step.trained), len(step.scored)] == [1, 3]
        for one in (*step.trained, *step.scored):
            assert list(one.reads) == ["a", "b"]
            assert 0.0 <= one.reads["a"][1] <= one.reads["b"][1] <= one.seconds
        assert sum(one.seconds for one in step.trained + step.scored) <= step.seconds
    assert before is torch.nn.Module.__call__
