"""Spaces, architectures and candidates."""

import math
import pickle
import random
import time
from collections.abc import Mapping

import numpy as np
import pytest

from asng.errors import SpaceError
from asng.space import Architecture, Categorical, Integer, Real, Space

SPACE = Space(
    {"op": Categorical(["conv", "skip"]), "width": Integer(1, 64, log=True), "drop": Real(0.0, 0.5)}
)
GOOD = {"op": "skip", "width": 9, "drop": 0.25}


def test_json_returns_the_same_space_in_the_same_order():
    again = Space.from_json(SPACE.to_json())
    assert again == SPACE
    assert hash(again) == hash(SPACE)
    assert list(again) == list(SPACE)


def test_order_matters_to_equality():
    assert Space(dict(reversed(list(SPACE.items())))) != SPACE


@pytest.mark.parametrize("rng", [np.random.default_rng(0), random.Random(0)])
def test_samples_lie_in_the_space(rng):
    for _ in range(50):
        SPACE.check(SPACE.sample(rng))


def test_decode_undoes_encode():
    assert SPACE.decode(SPACE.encode(GOOD)) == Architecture(GOOD)
    assert SPACE.decode(np.array(SPACE.encode(GOOD))) == Architecture(GOOD)


def test_size_multiplies():
    assert SPACE.size == math.inf
    assert Space({"a": Integer(1, 3), "b": Categorical([1, 2])}).size == 6


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (GOOD | {"widht": 3}, "no such variable. Did you mean 'width'"),
        ({"op": "skip", "width": 9}, r"architecture\['drop'\]: expected a value, got none"),
        (GOOD | {"op": "skipp"}, "Did you mean 'skip'"),
        (GOOD | {"width": 65}, r"an integer in \[1, 64\], got 65"),
        (GOOD | {"width": 9.5}, "got 9.5"),
        (GOOD | {"drop": math.nan}, r"a number in \[0.0, 0.5\], got nan"),
    ],
)
def test_check_says_what_is_wrong(wrong, match):
    assert not SPACE.contains(wrong)
    with pytest.raises(SpaceError, match=match):
        SPACE.check(wrong)


@pytest.mark.parametrize("bad", [{}, [], {1: Integer(0, 1)}, {"a": 3}])
def test_what_is_no_space_is_refused(bad):
    with pytest.raises(SpaceError, match="variables"):
        Space(bad)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', '{"a": {"type": "x"}}'])
def test_json_of_no_space_is_refused(text):
    with pytest.raises(SpaceError, match="expected"):
        Space.from_json(text)


def test_an_architecture_is_frozen_and_compares_by_content():
    one, two = Architecture(GOOD), Architecture(dict(reversed(GOOD.items())))
    assert one == two
    assert {one: 1}[two] == 1
    assert Architecture.from_json(one.to_json()) == one
    with pytest.raises(TypeError):
        one["op"] = "conv"


@pytest.mark.parametrize("text", ["", "3", '{"a": [1]}'])
def test_json_of_no_architecture_is_refused(text):
    with pytest.raises(SpaceError, match="architecture"):
        Architecture.from_json(text)


def test_a_candidate_decodes_its_raw_coordinates():
    candidate = SPACE.candidate([1, math.log(9.4), 0.7], active=["op"])
    assert dict(candidate.architecture) == {"op": "skip", "width": 9, "drop": 0.5}
    assert (candidate.active, candidate.generation) == (frozenset({"op"}), None)
    twin = candidate.with_active(None)
    assert (twin.active, twin.x, twin["width"]) == (None, candidate.x, 9)


@pytest.mark.parametrize(
    ("x", "active", "match"),
    [
        ([0.0], None, "expected 3 coordinates, one per variable, got 1"),
        ([0.0, math.nan, 0.0], None, "variable 'width': expected a finite number"),
        ([2.0, 0.0, 0.0], None, r"an integer in \[0, 1\], got 2.0"),
        ([0.5, 0.0, 0.0], None, "index of a choice"),
        ([0.0, 0.0, 0.0], ["widht"], "Did you mean 'width'"),
    ],
)
def test_an_unfit_candidate_is_refused(x, active, match):
    with pytest.raises(SpaceError, match=match):
        SPACE.candidate(x, active=active)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ' + "[" * 100_000, '{"a": {"type": []}}', '{"a": {"type": {}}}']
)
def test_a_deep_nest_and_a_kind_that_is_no_word_are_space_errors(text):
    with pytest.raises(SpaceError, match=r"expected (JSON, got text that cannot be read|one of categorical)"):
        Space.from_json(text)


def test_the_size_of_a_large_space_is_counted_at_once():
    # One product after the other would take time with the square of the number of variables.
    many = {f"v{i}": Integer(1, 2**20) for i in range(20_000)}
    begun = time.process_time()
    assert Space(many).size == 2**400_000
    assert Space(many | {"rate": Real(0.0, 1.0)}).size == math.inf
    assert time.process_time() - begun < 2.0


def test_a_candidate_is_a_mapping_of_the_values_that_it_shows():
    kernel, degree = Categorical(["poly", "rbf"]), Integer(1, 9, when={"kernel": "poly"})
    space = Space({"kernel": kernel, "degree": degree})
    one, other = space.candidate([0.0, 4.0]), space.candidate([1.0, 4.0])
    assert isinstance(one, Mapping)
    assert dict(one) == {**one} == {"kernel": "poly", "degree": 4} == dict(one.architecture)
    assert (list(other), len(other), other.get("degree", 0)) == (["kernel"], 1, 0)
    assert "degree" in one
    assert "degree" not in other
    assert list(one.items()) == [("kernel", "poly"), ("degree", 4)]
    with pytest.raises(KeyError, match="degree"):
        other["degree"]


def test_candidates_keep_their_own_identity_and_can_be_pickled():
    space = Space({"x": Integer(0, 9)})
    one, twin = space.candidate([3.0]), space.candidate([3.0])
    assert one == one
    assert one != twin
    assert len({one, twin}) == 2
    copy = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own
    assert (dict(copy), copy.x, copy.space) == (dict(one), one.x, one.space)
    with pytest.raises(TypeError, match="does not support item assignment"):
        one["x"] = 4
