"""Sizes that are computed from variables."""

import pytest

from asng.errors import SpaceError
from asng.space import Categorical, Integer, Real, SizeExpression

A, B = Integer(2, 6, label="a", step=2), Categorical([1, 3], label="b")


@pytest.mark.parametrize(
    ("expression", "value", "words"),
    [
        (2 * A, 8, "2 * a"),
        (A + B, 7, "a + b"),
        (A - 1, 3, "a - 1"),
        (10 - A, 6, "10 - a"),
        (A // 3, 1, "a // 3"),
        ((A + 1) * B, 15, "(a + 1) * b"),
        (1 + A * A, 17, "1 + (a * a)"),
    ],
)
def test_expression_has_the_value_of_what_it_says(expression, value, words):
    assert expression.value({"a": 4, "b": 3}) == value
    assert str(expression) == words


def test_expression_knows_all_its_values():
    assert sorted(set((2 * A).values())) == [4, 8, 12]
    assert sorted((A * B).values()) == [2, 4, 6, 6, 12, 18]
    assert max((A - A // 2).values()) == 3  # one variable, not two


def test_expressions_compare_by_what_they_say():
    assert 2 * Integer(2, 6, label="a", step=2) == 2 * A
    assert 2 * A != A * 2
    assert isinstance(A * 2, SizeExpression)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: 2 * Integer(1, 3), "expected a variable with a label"),
        (lambda: A * 0.5, "expected integers, variables of integers"),
        (lambda: A * True, "expected integers"),
        (lambda: A + Categorical(["x"], label="x"), "a Categorical of integers"),
        (lambda: A + Real(0, 1, label="r"), "expected integers, variables of integers"),
        (lambda: (A + Integer(2, 9, label="a")).variables(), "label 'a': expected one variable"),
        (lambda: next((Integer(1, 2000, label="x") * Integer(1, 2000, label="y")).values()), "combinations"),
    ],
)
def test_what_cannot_be_computed_is_refused(make, match):
    with pytest.raises(SpaceError, match=match):
        make()
