"""The zoo: how lines are counted, and what its rows must hold."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.zoo.entry import lines_of, tensors_of

ROWS = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "zoo.json").read_text())["rows"]


def three(model):
    """Not this one."""
    # Nor this.
    for layer in model:
        layer.a = 1
        layer.b = 2


def test_lines_are_those_that_a_user_would_write():
    assert lines_of(three) == 3


def test_tensors_are_found_in_what_a_model_returns():
    x = torch.ones(1)
    assert len(tensors_of({"a": x, "b": [x, (x, None)], "c": "text"})) == 3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['family']} {row['name']}")
def test_a_row_is_a_refusal_or_right(row):
    assert row["lines"] <= 10
    if "error" not in row:
        assert row["exact"] == 10
        assert row["steps"] > 0
        assert row["child_exports"] or not row["plain_exports"]
