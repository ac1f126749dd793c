"""The three kinds of variables."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.distributions.gaussian import Gaussians
from asng.errors import SpaceError
from asng.space import Categorical, Integer, Real, Space
from asng.space.variables import variable_from_json

ALL = [
    Categorical(["a", 1, 2.5, True and "t", None]),
    Integer(-3, 9),
    Integer(1, 256, log=True),
    Real(-1.0, 2.0),
    Real(1e-5, 1.0, log=True),
    Integer(7, 7),
    Integer(-4, 11, step=5),
    Integer(8, 256, log=True, step=8),
    Real(-0.5, 1.0, step=0.1),
    Real(0.001, 0.1, log=True, step=0.003),
    Real(1.0, 1.7e308, log=True),
]


@pytest.mark.parametrize("variable", ALL)
def test_decode_undoes_encode(variable):
    for u in (0.0, 0.3, 0.99):
        value = variable.uniform(u)
        assert variable.contains(value)
        assert variable.decode(variable.encode(value)) == pytest.approx(value) if value is not None else True


@pytest.mark.parametrize("variable", [v for v in ALL if not isinstance(v, Categorical)])
@given(x=st.floats(allow_nan=False, allow_infinity=False))
def test_any_raw_coordinate_decodes_into_the_range(variable, x):
    assert variable.contains(variable.decode(x))


@pytest.mark.parametrize("variable", ALL)
def test_json_returns_the_same_variable(variable):
    assert variable_from_json(variable.to_json()) == variable


@pytest.mark.parametrize(
    "variable",
    [
        Integer(-(2**52), 2**52),
        Integer(2**53 - 9, 2**53),
        Integer(1, 2**46, log=True),
        Integer(2**46 - 99, 2**46, log=True),
        Real(1e15, 1e15 + 10, step=0.5),
        Real(1.0, 1e13, log=True, step=1.0),
    ],
)
@given(u=st.floats(0, 1, exclude_max=True))
@settings(max_examples=50)
def test_every_value_of_a_wide_range_comes_back_unchanged(variable, u):
    step = int(u * (variable.size - 1))
    value = variable.low + step * variable.step
    candidate = Space({"n": variable}).candidate([variable.encode(value)])
    assert candidate["n"] == value
    family = Gaussians([variable])
    assert variable.decode(family.snapped(np.array([[variable.encode(value)]]))[0, 0]) == value


def test_numbers_of_numpy_become_plain_ones():
    integer = Integer(np.int64(0), np.uint8(9), step=np.int16(3))
    real = Real(np.int32(1), np.float32(2), step=np.float64(0.5))
    choices = Categorical(np.array([16, 32]), when={"n": np.arange(2), "b": np.bool_(True)})
    mixed = Categorical([np.float32(0.5), np.bool_(True), np.str_("a")])
    assert (integer, real) == (Integer(0, 9, step=3), Real(1.0, 2.0, step=0.5))
    assert choices == Categorical([16, 32], when={"n": [0, 1], "b": True})
    assert [type(choice) for choice in (*mixed.choices, *choices.choices)] == [float, bool, str, int, int]
    for variable in (integer, real, choices, mixed):
        assert variable_from_json(json.loads(json.dumps(variable.to_json()))) == variable


def test_small_numbers_of_numpy_do_not_overflow():
    assert Integer(-100, 2**40, step=2).contains(np.int8(100))
    assert Real(-1e300, 1e300).contains(np.float32(3))
    space = Space({"n": Integer(-100, 100)})
    assert space.candidate(space.encode({"n": np.int8(99)}))["n"] == 99


def test_the_widest_reals_are_drawn_evenly():
    wide = Real(-1.7e308, 1.7e308)
    assert [wide.uniform(u) for u in (0.0, 0.25, 0.5)] == [-1.7e308, -0.85e308, 0.0]
    assert Gaussians([wide]).uniform(np.array([[0.75]]))[0, 0] == pytest.approx(0.85e308)


def test_ordered_views_are_choices():
    those = {"b": 1, "a": 2}
    assert Categorical(those).choices == Categorical(those.keys()).choices == ("b", "a")
    assert Categorical(those.values()).choices == (1, 2)


def test_a_label_is_no_part_of_the_description():
    assert Integer(1, 2, label="x") == Integer(1, 2)
    assert "label" not in Categorical([1], label="x").to_json()


def test_sizes_count_the_values():
    assert [v.size for v in ALL] == [5, 13, 256, math.inf, math.inf, 1, 4, 32, 16, 34, math.inf]
    assert Real(1.0, 1.0).size == 1


@given(x=st.floats(-50, 50))
def test_steps_round_to_the_nearest_value(x):
    values = [-4, 1, 6, 11]
    assert abs(Integer(-4, 11, step=5).decode(x) - x) == min(abs(value - x) for value in values)


def test_a_step_of_one_is_not_written():
    assert "step" not in Integer(1, 9).to_json()
    assert Integer(1, 9, step=2).to_json()["step"] == 2
    assert Integer(1, 9, step=2) != Integer(1, 9)


@given(x=st.floats(-2, 2))
def test_reals_with_a_step_are_the_nearest_of_its_decimals(x):
    values = [k / 10 for k in range(-5, 11)]
    assert Real(-0.5, 1.0, step=0.1).decode(x) in values
    assert abs(Real(-0.5, 1.0, step=0.1).decode(x) - x) == pytest.approx(min(abs(v - x) for v in values))


def test_a_value_between_two_steps_is_none_of_them():
    variable = Real(0.0, 1.0, step=0.1)
    assert [variable.contains(value) for value in (0.3, 0.1 + 0.2, 0.35, 1.1, True)] == [True] * 2 + [
        False
    ] * 3
    assert "in steps of 0.1, got 0.35" in variable.expected(0.35)


@given(st.floats(0, 1, exclude_max=True))
def test_uniform_integers_fall_in_equal_shares(u):
    assert Integer(0, 9).uniform(u) == int(u * 10)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Categorical([]), "at least one choice"),
        (lambda: Categorical("abc"), "got the string 'abc'"),
        (lambda: Categorical(["a", "a"]), "got 'a' twice"),
        (lambda: Categorical([1, 1.0]), "twice"),
        (lambda: Categorical([math.nan]), "finite"),
        (lambda: Categorical([object]), "expected str, int, float, bool or None"),
        (lambda: Integer(0.5, 2), "low: expected an integer, got 0.5. For reals use Real"),
        (lambda: Integer(0, True), "high: expected an integer"),
        (lambda: Integer(5, 2), "Swap them"),
        (lambda: Integer(1, 8, step=2), r"from low = 1 to high = 8, got 2\. Try high = 7"),
        (lambda: Integer(1, 8, step=0), "step: expected an integer >= 1"),
        (lambda: Integer(1, 8, step=1.0), "step: expected an integer, got 1.0"),
        (lambda: Integer(0, 2, log=True), "low: expected >= 1 if log is set, got 0"),
        (
            lambda: Real(0.0, 1.0, step=0.3),
            "step: expected a number > 0 that leads from low = 0.0 to high = 1.0",
        ),
        (lambda: Real(0.0, 1.0, step=-0.5), "step: expected a number > 0"),
        (lambda: Real(0.0, 1.0, step=math.nan), "step: expected a finite number"),
        (lambda: Real(0, math.inf), "high: expected a finite number"),
        (lambda: Real(0.0, 1.0, log=True), "low: expected > 0 if log is set"),
        (lambda: Integer(2**60, 2**60 + 100), r"from -2\*\*53 to 2\*\*53.*Search an offset"),
        (lambda: Integer(0, 2**53 + 2, step=2), r"from -2\*\*53 to 2\*\*53"),
        (lambda: Integer(-(2**53), 2**53), r"at most 2\*\*53 apart"),
        (lambda: Integer(1, 2**47, log=True), r"up to 2\*\*46 with log"),
        (lambda: Integer(0, 10**400), r"from -2\*\*53 to 2\*\*53.*an integer of 1,329 bits"),
        (lambda: Integer(1, 10**5000, log=True), r"up to 2\*\*46 with log.*an integer of 16,610 bits"),
        (lambda: Integer(7, 7, step=10**5000), r"from -2\*\*53 to 2\*\*53"),
        (lambda: Real(0, 10**400), "high: expected a finite number, got an integer of 1,329 bits"),
        (lambda: Real(1e17, 1e17 + 160, step=1), "step: expected at least 64, because floats"),
        (lambda: Real(1.0, 2.0**50, log=True, step=1.0), "step: expected at least .*because floats"),
        (lambda: Real(-1e308, 1e308, step=1e308), "step: expected ends at most 1.8e308 apart"),
        (lambda: Categorical({"a", "b"}), r"choices: expected a list, whose order is fixed, got a set"),
        (lambda: Categorical(frozenset("ab")), r"got a frozenset.*Give a list, as by sorted"),
        (lambda: Integer(0, 9, when={"k": {"a", "b"}}), r"when\['k'\]: expected a list.*got a set"),
        (lambda: Categorical(3), "choices: expected a list, got 3"),
        (lambda: Categorical(None), "choices: expected a list, got None"),
        (lambda: Categorical(b"ab"), "got the string b'ab'"),
        (lambda: Integer(np.bool_(True), 2), "low: expected an integer"),
        (lambda: Real(np.bool_(False), 2), "low: expected a finite number"),
        (lambda: variable_from_json([]), "expected a JSON object"),
        (lambda: variable_from_json({"type": "float"}), "got 'float'"),
        (lambda: variable_from_json({"type": "integer", "low": 1}), "unexpected or missing fields"),
    ],
)
def test_what_is_no_variable_is_refused(make, match):
    with pytest.raises(SpaceError, match=match):
        make()
