"""What a budget may be, and what not."""

import pytest

from asng import Budget
from asng.compression.goals import goals_of
from asng.errors import InputError


def budgets(words):
    [goal] = goals_of(words, None)
    return [(b.name, b.limit, b.share) for b in goal.budgets]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (0.5, [("multiply_adds", None, 0.5)]),
        ("parameters=0.25", [("parameters", None, 0.25)]),
        ("parameters=25%", [("parameters", None, 0.25)]),
        ("parameters=100k", [("parameters", 100e3, None)]),
        ("parameters=5000", [("parameters", 5000.0, None)]),
        ("latency=2ms", [("latency", 0.002, None)]),
        ("latency=1.5e3us", [("latency", 0.0015, None)]),
        ("bytes=1MB", [("bytes", 1e6, None)]),
        (Budget("latency", limit=0.1), [("latency", 0.1, None)]),
        (["latency=1s", 0.5], [("latency", 1.0, None), ("multiply_adds", None, 0.5)]),
    ],
)
def test_budgets_in_words_and_numbers(words, found):
    assert budgets(words) == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (1.5, "share"),
        (0, "share"),
        (True, "a share, words or an asng.Budget"),
        (None, "expected one of them, got neither"),
        ([], "expected one at least"),
        ("half", "expected words such as"),
        ("latency=2 ms", "expected words such as"),
        ("latency=2parsec", "expected words such as"),
        ("speed=0.5", "measure"),
        ("parameters=150%", "share"),
    ],
)
def test_what_is_no_budget_is_refused_in_words(words, message):
    with pytest.raises(InputError, match=message):
        goals_of(words, None)


def test_several_goals_are_different_and_one_list():
    assert [goal.name for goal in goals_of(None, [0.25, "latency=2ms"])] == [
        "multiply_adds-0.25",
        "latency-2ms",
    ]
    for wrong in ([0.5, 0.5], [], "multiply_adds=0.5"):
        with pytest.raises(InputError, match="budgets: expected"):
            goals_of(None, wrong)
    with pytest.raises(InputError, match="got both"):
        goals_of(0.5, [0.5])
