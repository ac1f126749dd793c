"""Exported programs take inputs of the same structure, in batches of any size and sequences of any length."""

import logging
from collections import UserDict

import pytest
import torch
from torch import nn

from asng.nn import Inputs
from asng.training import save_onnx, save_program


class Tokens(nn.Module):
    """As a language model: everything by name, of which some is left out."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Embedding(11, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, ids=None, mask=None, labels=None):
        hidden = self.embed(ids) * mask.unsqueeze(-1)
        return {"logits": self.out(self.mix(hidden, hidden, hidden, need_weights=False)[0])}


def batch(size, length):
    return {"ids": torch.randint(0, 11, (size, length)), "mask": torch.ones(size, length)}


@pytest.mark.parametrize("kind", [dict, UserDict, lambda named: Inputs((), named)])
def test_inputs_by_name_are_free_in_batch_and_length(kind, tmp_path):
    child = Tokens().eval()
    path = save_program(tmp_path / "child.pt2", child, kind(batch(4, 7)))
    program = torch.export.load(path).module()
    for size, length in ((4, 7), (2, 19), (9, 3)):
        other = batch(size, length)
        torch.testing.assert_close(program(**other)["logits"], child(**other)["logits"])


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.x, self.z = nn.Linear(4, 2), nn.Linear(3, 2)

    def forward(self, batch, *, scale):
        return (self.x(batch["x"]) + sum(self.z(z) for z in batch["parts"])) * scale["by"]


def test_dictionaries_and_lists_stay_what_they_are(tmp_path):
    child = Nested().eval()

    def inputs(size):
        parts = [torch.randn(size, 3), torch.randn(size, 3)]
        return Inputs([{"x": torch.randn(size, 4), "parts": parts}], {"scale": {"by": torch.tensor(2.0)}})

    path = save_program(tmp_path / "child.pt2", child, inputs(5))
    program, other = torch.export.load(path).module(), inputs(9)
    torch.testing.assert_close(other.call(program), other.call(child))


def test_one_item_as_the_example_leaves_the_batch_free(tmp_path):
    child = nn.Conv1d(2, 3, 3)
    program = torch.export.load(save_program(tmp_path / "c.pt2", child, torch.ones(1, 2, 9))).module()
    x = torch.randn(5, 2, 13)
    torch.testing.assert_close(program(x), child(x))


@pytest.mark.slow
def test_onnx_is_free_in_batch_and_length(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    child = Tokens().eval()
    path = save_onnx(tmp_path / "child.onnx", child, batch(4, 7))
    session = onnxruntime.InferenceSession(path)
    for size, length in ((4, 7), (2, 19), (9, 3)):
        other = batch(size, length)
        (logits,) = session.run(None, {name: value.numpy() for name, value in other.items()})
        expected = child(**other)["logits"].detach()
        torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=1e-3)


def test_torch_says_nothing_of_its_own_while_a_child_is_exported(tmp_path):
    heard, handler = [], logging.Handler()
    handler.emit = heard.append
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch._export")]
    levels = [log.level for log in logs]
    child, x = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), torch.randn(4, 1, 4, 4)
    try:
        for log in logs:
            log.addHandler(handler)
        save_onnx(tmp_path / "child.onnx", child, x)
        save_program(tmp_path / "child.pt2", child, x)
    finally:
        for log in logs:
            log.removeHandler(handler)
    assert not heard
    assert [log.level for log in logs] == levels
