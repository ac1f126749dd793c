"""benchmarks/step/gpu.py: what can be told without a GPU."""

import pytest
import torch

from benchmarks.step import gpu
from benchmarks.step.counting import OnDevice
from benchmarks.step.spaces import SPACES

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    assert gpu.main() == 2
    assert "expected a GPU" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["plain", "autocast"])
def test_both_sides_are_timed(monkeypatch, way):
    monkeypatch.setattr(gpu, "WAYS", {way: gpu.WAYS[way]})
    monkeypatch.setitem(gpu.SPACES, "mlp", OnDevice.of(SPACES["mlp"], steps=1, batch=4))
    row = gpu.measured(CPU, 2, ["mlp"])["mlp"][way]
    assert row["ms"].keys() == {"ours", "limit"}
    assert row["asked"] == 0  # the host waits for no GPU


def test_what_fails_is_written_down_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr(gpu, "WAYS", {"plain": {}, "graphs": {"mode": "reduce-overhead"}})
    monkeypatch.setattr(gpu, "paired", lambda *_: 1 / 0)
    monkeypatch.setattr(gpu, "alone", lambda *_: {"operations": 3})
    rows = gpu.measured(CPU, 2, ["mlp"])["mlp"]
    assert rows["plain"]["failed"].startswith("ZeroDivisionError")
    assert rows["graphs"] == {"operations": 3}


def test_no_row_is_begun_once_the_time_is_over(monkeypatch):
    monkeypatch.setattr(gpu, "MINUTES", -1.0)
    assert {row["left_out"] for row in gpu.measured(CPU, 2, ["mlp"])["mlp"].values()} == {"the time was over"}
