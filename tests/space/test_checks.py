"""Checks of arguments, and the family of errors."""

import math
from fractions import Fraction

import numpy as np
import pytest

from asng.checks import as_path, integer_at_least, nearest, one_of, real_between
from asng.errors import AsngError, InputError, RunError, SpaceError


@pytest.mark.parametrize(
    ("error", "builtin"), [(SpaceError, ValueError), (InputError, ValueError), (RunError, RuntimeError)]
)
def test_errors_are_asng_errors_and_their_builtin_kind(error, builtin):
    assert issubclass(error, AsngError)
    assert issubclass(error, builtin)


@pytest.mark.parametrize("path", [None, 3, b"a", ["a"], "", "a\0"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InputError, match=r"run_dir: expected a path, got .*The current folder is '\.'"):
        as_path("run_dir", path)


def test_good_values_are_returned():
    assert integer_at_least("n", 3, 3) == 3
    assert real_between("r", 1, 0.0, 1.0) == 1.0
    assert isinstance(real_between("r", 1, 0.0, 1.0), float)
    assert real_between("r", math.inf, 1.0, math.inf) == math.inf
    for number in (np.float32(0.5), np.float64(0.5), np.int64(1), Fraction(1, 2)):
        assert real_between("r", number, 0.0, 1.0) == float(number)
    assert one_of("word", "a", iter(["a", "b"])) == "a"


@pytest.mark.parametrize("bad", [2, 3.0, True, "3", None])
def test_integer_at_least_refuses(bad):
    with pytest.raises(InputError, match="n: expected an integer >= 3"):
        integer_at_least("n", bad, 3)


@pytest.mark.parametrize("bad", [0.0, 1.1, math.nan, 10**400, True, np.bool_(True), "0.5", None])
def test_real_between_refuses(bad):
    with pytest.raises(InputError, match="r: expected a number"):
        real_between("r", bad, 0.0, 1.0, open_low=True)


def test_one_of_names_the_nearest_word():
    with pytest.raises(InputError, match=r"got 'statified'. Did you mean 'stratified'"):
        one_of("sampling", "statified", ["stratified", "independent"])
    assert nearest("zzz", ["a"]) == ""


def test_no_nearest_is_looked_for_among_long_names():
    assert nearest("x" * 100_000, ["x" * 99_999, "y"]) == ""
    assert nearest("widht", ["width" * 10_000, "width"]) == " Did you mean 'width'?"
