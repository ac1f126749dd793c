"""An architecture outside of the process that made it."""

import copy
import os
import pickle
import subprocess
import sys

import pytest

from asng.errors import SpaceError
from asng.space import Architecture

MAKE = """
import pickle, sys
from asng.space import Architecture
a = Architecture({"op": "conv3", "width": 64})
hash(a)
sys.stdout.buffer.write(pickle.dumps(a))
"""


def _pickled_elsewhere(hash_seed):
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(
        [sys.executable, "-c", MAKE], env=environment, check=True, capture_output=True
    ).stdout


@pytest.mark.parametrize("hash_seed", [1, 2])
def test_an_architecture_of_another_process_hashes_like_one_of_this(hash_seed):
    loaded = pickle.loads(_pickled_elsewhere(hash_seed))  # noqa: S301
    fresh = Architecture({"width": 64, "op": "conv3"})
    assert loaded == fresh
    assert hash(loaded) == hash(fresh)
    assert {fresh: 1}[loaded] == 1


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_copies_are_equal_and_hash_alike(twin):
    architecture = Architecture({"op": "conv3"})
    assert hash(twin(architecture)) == hash(architecture)
    assert twin(architecture) == architecture


def test_a_deep_nest_is_a_space_error():
    with pytest.raises(SpaceError, match="architecture: expected JSON, got text that cannot be read"):
        Architecture.from_json("[" * 100_000)


def test_a_long_value_is_told_in_short():
    with pytest.raises(SpaceError, match=r"architecture\['a'\]: expected a plain value") as caught:
        Architecture.from_json('{"a": [' + "1, " * 10_000 + "1]}")
    assert len(str(caught.value)) < 200
