"""Children as safetensors: the same bits, tied weights once, and files of strangers refused."""

import json

import pytest
import torch
from torch import nn

pytest.importorskip("safetensors")

from safetensors.torch import load_model, save_file

from asng.errors import InputError, RunError
from asng.integrations.safetensors import load_safetensors, save_safetensors
from asng.space import Architecture

FOUND = Architecture({"op": "conv", "width": 7, "rate": 0.1})


class Tied(nn.Module):
    """A weight of three names, a part of a larger one, several kinds of numbers, and an empty one."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.again = self.embed
        self.norm = nn.BatchNorm1d(4)
        self.low = nn.Parameter(torch.randn(3, dtype=torch.bfloat16))
        whole = torch.randn(4, 6)
        self.register_buffer("whole", whole)
        self.register_buffer("part", whole[1:3, ::2])
        self.register_buffer("turned", whole.t())
        self.register_buffer("none", torch.empty(0, 3))
        self.register_buffer("none_too", torch.empty(0, 3))


def test_weights_and_architecture_come_back_to_the_bit(tmp_path):
    child = Tied()
    path = save_safetensors(tmp_path / "new" / "child.safetensors", child, FOUND)
    architecture, weights = load_safetensors(path)
    assert architecture == FOUND
    assert weights.keys() == child.state_dict().keys()
    for name, value in child.state_dict().items():
        assert (weights[name].dtype, weights[name].shape) == (value.dtype, value.shape)
        assert torch.equal(weights[name], value)
    Tied().load_state_dict(weights)


def test_a_tied_weight_is_stored_once_and_stays_one(tmp_path):
    path = save_safetensors(tmp_path / "child.safetensors", Tied(), FOUND)
    _, weights = load_safetensors(path)
    assert weights["head.weight"] is weights["embed.weight"] is weights["again.weight"]
    length = int.from_bytes(path.read_bytes()[:8], "little")
    stored = json.loads(path.read_bytes()[8 : 8 + length])
    assert "embed.weight" in stored
    assert "head.weight" not in stored
    assert {"whole", "part", "turned"} <= stored.keys()


def test_the_library_itself_loads_the_file_into_the_module(tmp_path):
    # It knows tied weights, and no buffers that are parts of others.
    child, other = (nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}) for _ in range(2))
    for one in (child, other):
        one["b"].weight = one["a"].weight
    load_model(other, save_safetensors(tmp_path / "child.safetensors", child, FOUND))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in child.state_dict().items())


def test_what_is_no_tensor_is_told(tmp_path):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return "words"

    with pytest.raises(InputError, match="_extra_state: expected only tensors in the child's state, got str"):
        save_safetensors(tmp_path / "child.safetensors", Extra(1, 1), FOUND)
    assert list(tmp_path.iterdir()) == []


def test_a_type_that_the_format_has_not_is_told(tmp_path):
    child = nn.Linear(2, 1)
    child.register_buffer("phase", torch.ones(1, dtype=torch.complex128))
    with pytest.raises(InputError, match=r"types that safetensors has, got torch\.complex128\. Save it with"):
        save_safetensors(tmp_path / "child.safetensors", child, FOUND)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_a_torn_and_a_foreign_file_are_one_error(tmp_path):
    path = tmp_path / "child.safetensors"
    with pytest.raises(RunError, match="found no file"):
        load_safetensors(path)
    content = save_safetensors(path, nn.Linear(2, 2), FOUND).read_bytes()
    for wrong in (b"", content[:-1], content[:20], b"\xff" * 100, content[8:]):
        path.write_bytes(wrong)
        with pytest.raises(RunError, match="expected a file of safetensors, got a truncated or foreign file"):
            load_safetensors(path)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (None, "expected a child of asng of format 1, got None"),
        ({"asng_format": "2"}, "expected a child of asng of format 1, got '2'"),
        ({"asng_format": "1"}, "expected an architecture"),
        ({"asng_format": "1", "architecture": "[1]"}, "expected an architecture"),
    ],
)
def test_files_of_others_and_of_later_versions_are_told(metadata, told, tmp_path):
    path = tmp_path / "child.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata)
    with pytest.raises(RunError, match=told):
        load_safetensors(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "child.safetensors")
    with pytest.raises(RunError, match="expected a plain file, got a pipe"):
        load_safetensors(tmp_path / "child.safetensors")
