"""What goes wrong from outside is told in one line, and leaves a run that can be gone on with."""

import builtins
import io
import json
import math
import os
import resource
import signal
import time
from collections import Counter

import pytest
import torch
from problems import at_step, data, events_without_clocks, fit, loader, mse, searcher
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.errors import RunError
from asng.nn import Choice, Supernet
from asng.runs.checkpoint import load_checkpoint
from asng.training import faults as nonfinite
from asng.training import train
from asng.training.faults import dead_workers_told
from asng.training.signals import Terminated


def assert_resumes_to_the_same(folder, tmp_path, search=searcher, **flags):
    """Go on with a run that failed, and see that it is as one that did not fail."""
    whole, again = search(), search()
    fit(whole, run_dir=tmp_path / "whole", **flags)
    fit(again, run_dir=folder, resume=True, **flags)
    one, other = whole.supernet.state_dict(), again.supernet.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert events_without_clocks(folder) == events_without_clocks(tmp_path / "whole")


# --- the disk ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """Limits files to so many bytes: a write beyond fails, as on a full disk, part of it done."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_at_a_checkpoint_ends_the_run_and_it_can_be_gone_on_with(small_disk, tmp_path):
    folder = tmp_path / "parts"

    def checkpoints():
        return [(folder / f"checkpoint{name}.pt").read_bytes() for name in ("", ".previous")]

    kept = []

    def fill():
        kept.extend(checkpoints())
        small_disk(len(kept[0]) - 1)  # which is more than the log has

    search = searcher(loss=at_step(9, fill), checkpoint_seconds=0.0)
    with pytest.raises(
        RunError, match=r"checkpoint\.pt: cannot be written: File too large\. Free some space and try again"
    ):
        fit(search, run_dir=folder)
    small_disk(resource.RLIM_INFINITY)
    assert checkpoints() == kept
    assert not list(folder.glob(".*"))
    assert_resumes_to_the_same(folder, tmp_path)


@pytest.mark.parametrize("text", ["No space left on device", "Read-only file system", "Input/output error"])
def test_a_disk_that_fails_at_the_log_ends_the_run_too(text, monkeypatch, tmp_path):
    folder, sync = tmp_path / "parts", os.fsync

    def fail(number):
        raise OSError(28, text)

    search = searcher(loss=at_step(9, lambda: monkeypatch.setattr(os, "fsync", fail)), checkpoint_steps=3)
    with pytest.raises(
        RunError, match=rf"log\.jsonl: cannot be written: {text}\. Free some space and try again"
    ):
        fit(search, run_dir=folder)
    monkeypatch.setattr(os, "fsync", sync)
    assert_resumes_to_the_same(folder, tmp_path)


def test_a_log_that_the_disk_cut_is_gone_on_with(small_disk, tmp_path):
    folder = tmp_path / "parts"
    log = folder / "log.jsonl"
    search = searcher(loss=at_step(9, lambda: small_disk(log.stat().st_size + 10)))
    with pytest.raises(RunError, match=r"cannot be written: File too large"):
        fit(search, run_dir=folder)
    small_disk(resource.RLIM_INFINITY)
    assert_resumes_to_the_same(folder, tmp_path)


@pytest.fixture
def read_only(monkeypatch):
    """Refuse to open for writing, whoever asks: root may write where others may not."""

    def refuse(folder):
        def opened(file, mode="r", *args, **kwargs):
            if str(file).startswith(str(folder)) and set(mode) & set("wa+x"):
                raise OSError(30, "Read-only file system")
            return real(file, mode, *args, **kwargs)

        real = io.open
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", opened)

    return refuse


def test_a_folder_that_may_not_be_written_to_is_told_before_any_step(read_only, tmp_path):
    steps = []
    read_only(tmp_path)
    with pytest.raises(RunError, match=r"run.log\.jsonl: cannot be written: Read-only file system"):
        fit(searcher(loss=at_step(1, lambda: steps.append(1))), run_dir=tmp_path / "run")
    assert not steps


def test_a_folder_that_may_not_be_written_to_is_not_resumed_and_stays(read_only, monkeypatch, tmp_path):
    with pytest.raises(ZeroDivisionError):
        fit(searcher(loss=at_step(9, lambda: 1 / 0), checkpoint_seconds=0.0), run_dir=tmp_path / "parts")
    before = {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    read_only(tmp_path)
    with pytest.raises(RunError, match=r"log\.jsonl: cannot be written: Read-only file system"):
        fit(searcher(), run_dir=tmp_path / "parts", resume=True)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == before
    assert_resumes_to_the_same(tmp_path / "parts", tmp_path)


# --- workers of a loader ----------------------------------------------------------------------------------


class Deadly(TensorDataset):
    """Kills the worker that reads it, at one of its items and as long as a file says so."""

    def __init__(self, armed):
        super().__init__(*data().tensors)
        self.armed = armed

    def __getitem__(self, index):
        if index == 17 and self.armed.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def deadly(armed):
    return DataLoader(Deadly(armed), 8, shuffle=True, num_workers=1)


KILLED = r"loader: expected its worker processes to keep running, but DataLoader worker .*Pass resume=True"


def test_a_killed_worker_ends_the_search_and_it_can_be_gone_on_with(tmp_path):
    armed, flags = tmp_path / "armed", {"epochs": 2, "progress": False, "check": False}
    searcher().fit(deadly(armed), loader(24), run_dir=tmp_path / "whole", **flags)
    armed.touch()
    with pytest.raises(RunError, match=KILLED):
        searcher(checkpoint_seconds=0.0).fit(deadly(armed), loader(24), run_dir=tmp_path / "parts", **flags)
    armed.unlink()
    searcher().fit(deadly(armed), loader(24), run_dir=tmp_path / "parts", resume=True, **flags)
    assert events_without_clocks(tmp_path / "parts") == events_without_clocks(tmp_path / "whole")


def test_a_killed_worker_ends_a_training_too(tmp_path):
    (tmp_path / "armed").touch()
    with pytest.raises(RunError, match=KILLED):
        train(nn.Linear(3, 1), deadly(tmp_path / "armed"), loss=mse, epochs=1)


def test_a_signal_that_ends_the_workers_of_a_loader_too_is_what_ends_the_search(monkeypatch, tmp_path):
    """As a batch system sends it to all."""
    armed = tmp_path / "armed"
    armed.touch()
    kill, number = os.kill, signal.SIGTERM
    monkeypatch.setattr(os, "kill", lambda pid, _: (kill(os.getppid(), number), kill(pid, signal.SIGKILL)))
    search = searcher(checkpoint_seconds=0.0)
    with pytest.raises(Terminated) as caught:
        search.fit(deadly(armed), loader(24), run_dir=tmp_path / "run", epochs=2, progress=False, check=False)
    assert caught.value.code == 128 + number
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] < 12


def test_a_pipe_that_breaks_before_the_signal_comes_is_told_alike():
    before = signal.getsignal(signal.SIGALRM)

    def killed(number, frame):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    def broken():
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        raise ConnectionResetError

    signal.signal(signal.SIGALRM, killed)
    try:
        with pytest.raises(RunError, match=KILLED), dead_workers_told():
            broken()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_error_of_a_dataset_in_a_worker_stays_its_own():
    class Faulty(TensorDataset):
        def __getitem__(self, index):
            raise RuntimeError("mine")

    faulty = DataLoader(Faulty(*data().tensors), 8, num_workers=1)
    with pytest.raises(RuntimeError, match="Caught RuntimeError in DataLoader worker process 0") as caught:
        searcher().fit(faulty, loader(24), epochs=1, progress=False)
    assert not isinstance(caught.value, RunError)


# --- values that are not finite ---------------------------------------------------------------------------


class Spoilt(nn.Module):
    """Gives NaN."""

    def forward(self, x):
        return torch.full((len(x), 1), math.nan)


class Huge(nn.Module):
    """Asks for more memory than any machine has."""

    def forward(self, x):
        return torch.empty(2**50).sum() * x[:, :1]


def two_ops(other):
    torch.manual_seed(3)
    return Supernet(Choice({"linear": nn.Linear(3, 1), "other": other()}, label="op"))


def test_one_candidate_without_a_finite_loss_ranks_worst(tmp_path):
    search = searcher(two_ops(Spoilt), warmup=0.0)
    result = fit(search, epochs=10, run_dir=tmp_path)
    assert (result.reason, result.architecture["op"]) == ("finished", "linear")
    assert search.architecture_optimizer.theta["op"][0] > 0.7  # 0.75 is the most in a space of two
    assert all(torch.isfinite(value).all() for value in search.supernet.state_dict().values())


def nothing_finite(after, until):
    """A loss that is NaN in some of its training passes and in scoring in between."""
    calls = 0

    def loss(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        return mse(forward, batch) * (math.nan if after < calls <= until else 1.0)

    return loss


def test_steps_without_any_finite_loss_change_neither_weights_nor_theta():
    search = searcher(loss=nothing_finite(3, 10**9), warmup=0.0)
    seen = []

    def stop_at_9(forward, batch):
        seen.append((search.architecture_optimizer.theta, [w.clone() for w in search.supernet.parameters()]))
        return mse(forward, batch) * math.nan if len(seen) > 4 else mse(forward, batch)

    search.minimize = stop_at_9
    fit(search, epochs=2)
    thetas, weights = zip(*seen[-6:], strict=True)
    assert all(theta.to_json() == thetas[0].to_json() for theta in thetas)
    assert all(torch.equal(a, b) for later in weights for a, b in zip(weights[0], later, strict=True))


def test_a_while_without_finite_losses_is_lived_through(monkeypatch, tmp_path):
    monkeypatch.setattr(nonfinite, "MOST_SKIPPED_STEPS", 6)
    assert fit(searcher(loss=nothing_finite(3, 8))).reason == "finished"
    with pytest.raises(RunError, match=r"got none in 6 steps in a row \(step 8\).*Lower the learning rate"):
        fit(searcher(loss=nothing_finite(3, 9), checkpoint_seconds=0.0), run_dir=tmp_path / "parts")
    state = load_checkpoint(tmp_path / "parts" / "checkpoint.pt")
    assert state["step"] == 8
    assert all(torch.isfinite(value).all() for value in state["model"].values())


# --- memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", [0.0, 0.6])
def test_an_architecture_that_does_not_fit_ranks_worst_and_is_counted(final, tmp_path):
    search = searcher(two_ops(Huge), warmup=0.0, final=final, finalists=2)
    result = fit(search, epochs=10, run_dir=tmp_path)
    assert (result.reason, result.architecture["op"]) == ("finished", "linear")
    assert result.out_of_memory > 5
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events[-1]["out_of_memory"] == result.out_of_memory
    again = fit(
        searcher(two_ops(Huge), warmup=0.0, final=final, finalists=2),
        epochs=10,
        run_dir=tmp_path,
        resume=True,
    )
    assert again.out_of_memory == result.out_of_memory


def test_pythons_own_lack_of_memory_counts_too():
    class Listed(nn.Module):
        def forward(self, x):
            raise MemoryError

    assert fit(searcher(two_ops(Listed), warmup=0.0), epochs=10).out_of_memory > 5


def test_where_nothing_fits_the_search_ends_and_says_so():
    def loss(forward, batch):
        return mse(forward, batch) + torch.empty(2**50).sum()

    with pytest.raises(
        RunError, match=r"needs more memory than there is: use smaller batches, or set a Budget"
    ):
        fit(searcher(loss=loss, warmup=0.0))


def test_other_errors_of_a_pass_are_not_taken_for_it():
    def loss(forward, batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(searcher(loss=loss))


# --- the clock --------------------------------------------------------------------------------------------


def test_a_clock_that_is_moved_changes_nothing(monkeypatch, tmp_path):
    true, moves = time.time, Counter()

    def moved():
        moves["all"] += 1
        return true() + (-1) ** moves["all"] * 1e8

    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, moved)
    fit(searcher(checkpoint_seconds=30.0), run_dir=tmp_path / "parts")
    monkeypatch.undo()
    events = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    seconds = [event["seconds"] for event in events if event["event"] == "step"]
    assert seconds == sorted(seconds)
    assert 0.0 <= seconds[0] <= seconds[-1] < 60.0
    fit(searcher(), run_dir=tmp_path / "whole")
    assert events_without_clocks(tmp_path / "parts") == events_without_clocks(tmp_path / "whole")
