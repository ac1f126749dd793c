"""Latency is a median after warm-up, of a network alone and not of what else the machine does."""

import os
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from asng.costs import latency, onnx_latency, timing
from asng.costs.timing import _wait_for
from asng.errors import InputError
from asng.nn import Inputs


class Slow(nn.Module):
    """Takes as long as it is told, one pass after the other."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = list(seconds)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, torch.is_inference_mode_enabled()))
        time.sleep(self.seconds.pop(0))
        return x


def test_the_passes_of_the_warm_up_and_the_odd_slow_one_do_not_count():
    child = Slow([0.3, 0.3, 0.005, 0.3, 0.005, 0.005, 0.3])
    # Sleep may be late, yet three of five passes would have to be late by 0.1 s.
    assert 0.005 <= latency(child, (torch.ones(1),), warmup=2, repeats=5, seconds=0.0) < 0.1
    assert child.seen == [(False, True)] * 7
    assert child.training


def test_by_default_there_are_three_and_fifteen_passes():
    child = Slow([0.002] * 40)
    latency(child, (torch.ones(1),))
    # Up to ten more where a pass was faster than those before by chance.
    assert 18 <= 40 - len(child.seconds) <= 28


def test_a_network_is_warm_once_it_no_longer_becomes_faster(monkeypatch):
    seconds = [5.0, 4.0, 3.0, 2.0, 1.0, 1.0, 0.5, 9.0]
    clock = [0.0]
    monkeypatch.setattr(timing, "_read", lambda: timing._Reading(clock[0], 0.0, -1))

    class Child(nn.Module):
        def forward(self, x):
            clock[0] += seconds.pop(0)
            return x

    # Two are asked for; more are taken as long as each is faster than all before it, and one that is not.
    assert latency(Child(), (torch.ones(1),), warmup=2, repeats=1, seconds=0.0) == 0.5


@pytest.mark.parametrize(("seconds", "passes"), [(0.0, 2), (0.05, 5), (100.0, 40)])
def test_short_passes_are_repeated_until_they_took_so_long_but_not_for_ever(seconds, passes):
    child = Slow([0.01 if seconds < 1.0 else 0.0] * 60)
    latency(child, (torch.ones(1),), warmup=0, repeats=2, seconds=seconds)
    assert 2 <= len(child.seen) <= passes
    if seconds != 0.05:  # a sleep may last longer
        assert len(child.seen) == passes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the wall clock counts")
def test_what_another_process_takes_of_the_processor_is_no_time_of_the_network():
    class Busy(nn.Module):
        def forward(self, x):
            end = time.thread_time() + 0.02
            while time.thread_time() < end:
                pass
            return x

    words = "import os; os.sched_setaffinity(0, {%d}); end = __import__('time').time() + 20\nwhile True: pass"
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    other = subprocess.Popen([sys.executable, "-c", words % core])
    try:
        os.sched_setaffinity(0, {core})
        time.sleep(0.3)
        start = time.perf_counter()
        took = latency(Busy(), (torch.ones(1),), warmup=1, repeats=7, seconds=0.0)
        wall = (time.perf_counter() - start) / 8
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, before)
    assert took == pytest.approx(0.02, rel=0.05)
    assert wall > 1.3 * took  # there was something to leave out


def test_of_a_pass_that_waits_the_wall_clock_counts():
    assert latency(Slow([0.01] * 40), (torch.ones(1),), repeats=3, seconds=0.0) >= 0.01


def test_an_asynchronous_device_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    _wait_for(torch.device("cpu"))
    assert waited == []
    _wait_for(torch.device("cuda", 0))
    assert waited == [torch.device("cuda", 0)]


def test_every_pass_is_waited_for_before_and_after(monkeypatch):
    events = []

    class Child(nn.Linear):
        def forward(self, x):
            events.append("pass")
            return super().forward(x)

    monkeypatch.setattr("asng.costs.timing._wait_for", lambda device: events.append(device.type))
    latency(Child(1, 1), (torch.ones(1, 1),), warmup=1, repeats=2, seconds=0.0)
    assert events == ["cpu", "pass", "cpu"] * 3


@pytest.mark.parametrize(("settings", "name"), [({"warmup": -1}, "warmup"), ({"repeats": 0}, "repeats")])
def test_settings_out_of_range_are_named(settings, name):
    with pytest.raises(InputError, match=f"{name}: expected an integer >="):
        latency(nn.Identity(), (torch.ones(1),), **settings)


# --- as ONNX -------------------------------------------------------------------------------------------


def test_an_exported_program_is_timed():
    pytest.importorskip("onnxruntime")
    with torch.no_grad():
        small, large = (
            onnx_latency(nn.Sequential(nn.Linear(16, n), nn.ReLU(), nn.Linear(n, 4)), (torch.ones(64, 16),))
            for n in (4, 4096)
        )
    assert 0.0 < small < large / 2


def test_a_program_takes_inputs_by_name_and_nested():
    pytest.importorskip("onnxruntime")

    class Nested(nn.Module):
        def forward(self, parts, *, scale):
            return parts["a"][0] - 2 * parts["b"] + scale

    inputs = Inputs(({"a": [torch.ones(3, 8)], "b": torch.ones(3, 8)},), {"scale": torch.ones(8)})
    assert 0.0 < onnx_latency(Nested(), inputs) < 1.0


def test_what_is_not_to_be_exported_is_named():
    pytest.importorskip("onnxruntime")

    class Data(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(InputError, match="onnx_latency: expected a network that runs as ONNX, got one that"):
        onnx_latency(Data(), (torch.ones(3),))


def test_without_onnxruntime_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"the library onnxruntime.*pip install 'asng\[onnx\]'"):
        onnx_latency(nn.Linear(1, 1), (torch.ones(1, 1),))


def test_threads_out_of_range_are_named():
    with pytest.raises(InputError, match="threads: expected an integer >= 1"):
        onnx_latency(nn.Linear(1, 1), (torch.ones(1, 1),), threads=0)
