"""Candidates per second of a search in two processes, over the same search in one, with one thread each.

python -m benchmarks.step.ranks

A candidate is an architecture that a step trains or scores on a batch of 64. There are three searches.
"paper" is `asng classify` with the paper's preset (random images of CIFAR-10's size), which trains 2
architectures a step and scores 2, so that each process has one of both. "wide" is the same with 4 and 8,
which averages out that some take longer. "small" is the small preset, with 2 trained and 2 scored.

One process and two of torchrun are started side by side and wait. They take turns of some steps, each first
in turn, and figures are ratios within repeats. Idle processes use no core, but nothing else should run.

Both take the same steps with the same architectures. The bytes of gradients that a step sums up are compared
with those of the weights that have a gradient if one process trains the same architectures.

Two more figures say what any division of work could reach. "apart": two searches in one process each, which
know nothing of each other, run at the same time, and their candidates per second are divided by those of one
that runs alone; this is what the machine gives. "summing": the time in which two processes that are both
ready sum up the gradients of a step, as a share of the step; this is what summing beside passes could gain.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from asng.distributed import joined
from asng.pipeline import SearchSettings
from asng.tasks.classification import PRESETS, classification
from benchmarks.measuring import spread
from benchmarks.record import write
from benchmarks.step.paper_step import search_of, write_noise

RATIO, EXTRA_BYTES = 1.7, 0.05
"""Targets: least ratio of candidates per second, most extra bytes beyond the union of the sampled paths."""
SEED = 0
PRESET_OF = {"paper": "paper", "wide": "paper", "small": "small"}
STEPS = {"paper": 4, "wide": 2, "small": 100}
"""The cases, and how many steps of each make a turn."""


# --- in the processes that are measured -----------------------------------------------------------------


class Traffic:
    """Counts the bytes of gradients that exist and that are summed up."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.had = self.reduced = self.messages = 0

    @contextmanager
    def counted(self) -> Any:
        """Count within the block."""
        all_reduce = dist.all_reduce

        def reducing(tensor: torch.Tensor, *args: Any, **named: Any) -> Any:
            if named.get("async_op"):  # otherwise it is a short message between the processes
                self.reduced += tensor.nbytes
                self.messages += 1
            return all_reduce(tensor, *args, **named)

        dist.all_reduce = reducing
        try:
            yield
        finally:
            dist.all_reduce = all_reduce

    def look(self) -> None:
        """Count the gradients of the step just taken."""
        self.had += sum(p.grad.nbytes for p in self.parameters if p.grad is not None)


def settings_of(case: str) -> SearchSettings:
    """Return the settings of a case, in which theta moves from the first step on."""
    settings = replace(PRESETS[PRESET_OF[case]].search, device="cpu", warmup=0.0, final=0.0)
    # The small preset trains two, as in two processes: one architecture a step could not be shared out.
    lam = {"wide": (4, 8), "small": (2, 2)}.get(case, (settings.lam_x, settings.lam_theta))
    return replace(settings, lam_x=lam[0], lam_theta=lam[1])


def stepping(case: str, folder: Path) -> AbstractContextManager[Any]:
    """Return a context manager that gives the loop of a case."""
    settings, data = settings_of(case), PRESETS[PRESET_OF[case]].task
    data = data if case == "small" else replace(data, data_dir=str(folder))
    task = classification(data)
    search, loaders = search_of(task, settings, seed=SEED)
    halves = loaders.search_train, loaders.search_valid
    return search.stepping(*halves, epochs=settings.epochs)


class NoSignal:
    """Tells a search that no signal came."""

    terminated = False

    def __bool__(self) -> bool:
        return False


def serve(case: str, folder: Path, port: int) -> None:
    """Take the requested steps, and report their time and the bytes sent, until told to end."""
    with joined() as comm, stepping(case, folder) as loop:
        traffic = Traffic(loop.trainer.parameters)
        link = Client(("127.0.0.1", port)) if comm.leads else None
        while steps := comm.once(lambda: asked(link)):
            start = time.perf_counter()
            with traffic.counted():
                for _ in range(steps):
                    loop.one_step()
                    loop.pause(NoSignal(), more=True)
                    traffic.look()
            told = {"seconds": time.perf_counter() - start, "theta": loop.theta.state_dict()["theta"]}
            comm.once(bool)  # both are ready
            start = time.perf_counter()
            comm.reduce(0.0, loop.trainer.parameters)
            told["summing"] = time.perf_counter() - start
            told |= {name: getattr(traffic, name) for name in ("had", "reduced", "messages")}
            if link is not None:
                link.send_bytes(json.dumps(told).encode())


def asked(link: Connection | None) -> int:
    """Return how many steps to take, 0 at the end."""
    assert link is not None
    return int(link.recv_bytes())


# --- in the one that measures ---------------------------------------------------------------------------


@contextmanager
def started(processes: int, case: str, folder: Path) -> Any:
    """Start that many processes, and yield a function that makes them take steps."""
    with Listener(("127.0.0.1", 0)) as listener:
        port = listener.address[1]
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        words = [
            sys.executable,
            *(launcher if processes > 1 else []),
            "-m",
            "benchmarks.step.ranks",
            "--cases",
            case,
        ]
        words += ["--serve", str(port), "--folder", str(folder)]
        child = subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})
        with listener.accept() as link:

            def take(steps: int) -> dict[str, Any]:
                link.send_bytes(str(steps).encode())
                return dict(json.loads(link.recv_bytes()))

            yield take
            link.send_bytes(b"0")
        if child.wait() != 0:
            raise SystemExit(f"{processes} processes: exit code {child.returncode}")


def measured(case: str, folder: Path, *, repeats: int, steps: int) -> dict[str, Any]:
    """Return the figures of one case."""
    search = settings_of(case)
    candidates = steps * (search.lam_x + search.lam_theta)
    with (
        started(1, case, folder) as alone,
        started(2, case, folder) as both,
        started(1, case, folder) as left,
        started(1, case, folder) as right,
        ThreadPoolExecutor(2) as pool,
    ):

        def apart(steps: int) -> dict[str, Any]:
            ended = pool.map(lambda take: take(steps), (left, right))
            return {"seconds": max(told["seconds"] for told in ended)}

        sides: list[tuple[str, Callable[[int], dict[str, Any]]]]
        sides = [("one", alone), ("two", both), ("apart", apart)]
        taken = []
        for index in range(repeats + 1):
            taken.append({name: take(steps) for name, take in sides[:: 1 if index % 2 else -1]})
    one, two = taken[-1]["one"], taken[-1]["two"]  # bytes of all steps
    pairs = [
        (t["one"]["seconds"], t["two"]["seconds"]) for t in taken[1:]
    ]  # the first includes one-time setup
    all_steps = (repeats + 1) * steps
    return {
        "case": case,
        "lam_x": search.lam_x,
        "lam_theta": search.lam_theta,
        "repeats": repeats,
        "steps": steps,
        "candidates_per_second": {
            "one": spread([candidates / seconds for seconds, _ in pairs]),
            "two": spread([candidates / seconds for _, seconds in pairs]),
        },
        "ratio": spread([mine / other for mine, other in pairs]),
        "ratio_of_means": round(sum(mine for mine, _ in pairs) / sum(other for _, other in pairs), 4),
        "apart": spread([2 * t["one"]["seconds"] / t["apart"]["seconds"] for t in taken[1:]]),
        "summing": spread([steps * t["two"]["summing"] / t["two"]["seconds"] for t in taken[1:]]),
        "bytes_a_step": {
            "union_of_sampled_paths": one["had"] / all_steps,
            "reduced": two["reduced"] / all_steps,
        },
        "reduced_over_union": round(two["reduced"] / one["had"], 4),
        "messages_of_gradients_a_step": two["messages"] / all_steps,
        "theta_alike": one["theta"] == two["theta"],
        "pairs_of_seconds": [[round(mine, 4), round(other, 4)] for mine, other in pairs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(PRESET_OF), default=list(PRESET_OF))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, help="of a turn (default: 4 of paper, 2 of wide, 100 of small)")
    parser.add_argument("--dry", action="store_true", help="print only, and write no results")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.cases[0], arguments.folder, arguments.serve)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = write_noise(Path(place), records=2_000)
        runs = [
            measured(case, folder, repeats=arguments.repeats, steps=arguments.steps or STEPS[case])
            for case in arguments.cases
        ]
    figures = {"seed": SEED, "threads_each": 1, "limit_ratio": RATIO, "limit_extra_bytes": EXTRA_BYTES}
    print(json.dumps({**figures, "runs": runs}, indent=2))
    if not arguments.dry:
        print(write("ranks", figures, runs))


if __name__ == "__main__":
    main()
