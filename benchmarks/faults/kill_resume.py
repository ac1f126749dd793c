"""Runs killed at random moments and resumed, beside the same runs that were never stopped.

Each child is forked from one process that has imported everything, and is killed by SIGKILL after a random
share of the time that an undisturbed run takes. The next child resumes, and may be killed as well. At the end
these are compared, bit for bit: the last checkpoint, the log without times, the architecture, the child and
the losses.

python -m benchmarks.faults.kill_resume --kills 200
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from asng import Categorical, Integer, Space, minimize
from asng.experiments.benchmark import BenchmarkSettings, run_benchmark
from asng.pipeline import run_task
from asng.tasks.classification import classification
from benchmarks.record import write

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / part) for part in ("shared", "search")]
from problems import data, events_without_clocks, fit, loader, searcher  # noqa: E402
from small_tasks import SMALL, small_cells  # noqa: E402
from test_resume_generators import Augmented  # noqa: E402

CLOCKS = ("seconds", "time", "microseconds", "log_bytes")


def search(folder: Path, resume: bool) -> None:
    fit(searcher(checkpoint_seconds=0.0), "own generator", epochs=12, run_dir=folder, resume=resume)


def search_result(folder: Path) -> Any:
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return (
        _plain(state),
        events_without_clocks(folder),
        (folder / "architecture.json").read_text(),
    )


def augmented(folder: Path, resume: bool) -> None:
    """Search on data augmented by torch's, Python's and NumPy's generators, in persistent workers."""
    settings = {"batch_size": 8, "shuffle": True, "num_workers": 2, "persistent_workers": True}
    loaders = DataLoader(Augmented(*data().tensors), **settings), loader(24)
    search = searcher(final=0.6, finalists=2, warmup=0.2, checkpoint_steps=3)
    search.fit(*loaders, epochs=6, progress=False, run_dir=folder, resume=resume)


def black_box(folder: Path, resume: bool) -> None:
    space = Space({f"c{i}": Categorical(range(4)) for i in range(8)} | {"i": Integer(0, 20)})
    minimize(_slow_loss, space, 150, seed=3, run_dir=folder, resume=resume)


def _slow_loss(architecture: Any) -> float:
    time.sleep(0.002)
    return sum(architecture[f"c{i}"] != i % 4 for i in range(8)) + abs(architecture["i"] - 11) / 10


def black_box_result(folder: Path) -> Any:
    return [_plain(json.loads(line)) for line in (folder / "log.jsonl").open()]


def retraining(folder: Path, resume: bool) -> None:
    """Run a whole task: a search, then the found network and a peer trained alone."""
    data = folder.with_name("images-of-" + folder.name)
    run_task(classification(small_cells(data)), SMALL, folder, resume=resume, progress=False)


def retraining_result(folder: Path) -> Any:
    child = torch.load(folder / "child.pt", weights_only=True)
    result = json.loads((folder / "result.json").read_text())
    return _plain(result), _plain(child["state_dict"]), events_without_clocks(folder)


def benchmark(folder: Path, resume: bool) -> None:
    settings = BenchmarkSettings(("onemax",), ("ASNG", "(1+1)-EA"), 600)
    run_benchmark(settings, folder, seeds=range(12), resume=resume)


def benchmark_result(folder: Path) -> Any:
    rows = [_plain(json.loads(line)) for line in (folder / "benchmark.jsonl").open()]
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


SUBJECTS: dict[str, tuple[Callable[[Path, bool], None], Callable[[Path], Any]]] = {
    "search": (search, search_result),
    "search of augmented data": (augmented, search_result),
    "minimize": (black_box, black_box_result),
    "search and retraining": (retraining, retraining_result),
    "benchmark": (benchmark, benchmark_result),
}


def _plain(value: Any) -> Any:
    """Return a form that can be compared by ==, without times."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.tolist()
    if isinstance(value, dict):
        return {
            name: _plain(own)
            for name, own in value.items()
            if name not in CLOCKS and "seconds" not in str(name)
        }
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return value


def start(run: Callable[[Path, bool], None], folder: Path, resume: bool) -> int:
    """Fork a child that does a run; return its process ID."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        run(folder, resume)
        code = 0
    except BaseException as error:
        print(f"{folder}: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def finished(child: int, seconds: float) -> int | None:
    """Return how a child ended, or None if it did not end within some time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return child
        time.sleep(0.0005)
    return None


def disturbed(
    run: Callable[[Path, bool], None], folder: Path, rng: random.Random, whole: float
) -> tuple[int, bool]:
    """Kill a run one to three times, then let it end; return how often, and whether it ended well."""
    kills = 0
    for _ in range(rng.randint(1, 3)):
        child = start(run, folder, resume=kills > 0 and any(folder.glob("*")))
        if finished(child, rng.random() * whole):
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
    child = start(run, folder, resume=folder.exists() and any(folder.glob("[!.]*")))
    return kills, os.waitpid(child, 0)[1] == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng, rows = random.Random(arguments.seed), []
    for name, (run, result) in SUBJECTS.items():
        home = Path(tempfile.mkdtemp())
        began = time.monotonic()
        assert os.waitpid(start(run, home / "whole", resume=False), 0)[1] == 0
        whole, expected = time.monotonic() - began, result(home / "whole")
        kills = runs = exact = 0
        while kills < arguments.kills / len(SUBJECTS):
            folder = home / f"run{runs}"
            killed, ended = disturbed(run, folder, rng, whole)
            if killed:
                runs, kills = runs + 1, kills + killed
                exact += ended and result(folder) == expected
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(home)
        rows.append(
            {"subject": name, "kills": kills, "runs": runs, "exact": exact, "seconds_undisturbed": whole}
        )
        print(rows[-1], flush=True)
    print(write("kill_resume", {"seed": arguments.seed, "rows": rows}))


if __name__ == "__main__":
    main()
