"""A step of our search, and ask and tell alone, relative to an earlier commit, in turns.

OMP_NUM_THREADS=1 python -m benchmarks.step.before COMMIT

Each side is a process of its own; that of the earlier commit runs in a work tree of it. A turn gives both the
same architectures, in an order that changes from turn to turn; figures are ratios within turns. Times are CPU
times, which exclude waiting.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import spread
from benchmarks.record import write

ROOT = Path(__file__).parents[2]
SPACES = ("cells", "transformer", "mlp")
SERVER = """
import random, sys, time
try:
    from benchmarks.step.ours import Ours
    from benchmarks.step.spaces import SPACES
except ImportError:  # before the benchmarks were put in folders
    from steps.ours import Ours
    from steps.spaces import SPACES
setting = SPACES[sys.argv[1]]
ours = Ours(setting)
for line in sys.stdin:
    ours.ready(setting.draw(ours.supernet.space, random.Random(int(line))))
    start = time.process_time()
    for _ in range(setting.steps):
        ours.step()
    print((time.process_time() - start) / setting.steps, flush=True)
"""


ASK_AND_TELL = ((30, 2), (30, 8), (1_000_000, 2), (1_000_000, 8))
"""Numbers of variables, of five choices each, and lambda."""
ASKING = """
import random, sys, time
import asng
variables, lam = int(sys.argv[1]), int(sys.argv[2])
space = asng.Space({f"c{i}": asng.Categorical(range(5)) for i in range(variables)})
theta, updates = asng.ASNG(space, lam=lam, seed=0), max(1, 20_000 // variables)
for line in sys.stdin:
    draw = random.Random(int(line))
    start = time.process_time()
    for _ in range(updates):
        theta.tell(theta.ask(), [draw.random() for _ in range(lam)])
    print((time.process_time() - start) / updates, flush=True)
"""


def server(tree: Path, code: str, *words: str) -> "subprocess.Popen[str]":
    """Start the side of a work tree."""
    paths = [tree / "src", tree, tree / "benchmarks"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def turn(side: "subprocess.Popen[str]", seed: int) -> float:
    """Return the seconds of a step of this side."""
    assert side.stdin is not None
    assert side.stdout is not None
    side.stdin.write(f"{seed}\n")
    side.stdin.flush()
    return float(side.stdout.readline())


def compare(tree: Path, turns: int, code: str, *words: str) -> dict[str, object]:
    """Return the milliseconds of both sides, and their ratio."""
    sides = {"now": server(ROOT, code, *words), "before": server(tree, code, *words)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for seed in range(turns + 1):
            for name in list(sides)[:: 1 if seed % 2 else -1]:
                taken = turn(sides[name], seed)
                if seed:  # the first turn includes one-time setup of torch
                    times[name].append(taken)
    finally:
        for side in sides.values():
            side.kill()
            side.wait()
    ratios = [now / before for now, before in zip(times["now"], times["before"], strict=True)]
    return {
        "ratio": spread(ratios),
        **{name: spread([1e3 * one for one in some]) for name, some in times.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--turns", type=int, default=21)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), given.commit], check=True)
        try:
            rows, asked = [], []
            for space in SPACES:
                rows.append({"space": space, **compare(tree, given.turns, SERVER, space)})
                print(rows[-1], flush=True)
            for variables, lam in ASK_AND_TELL:
                figures = compare(tree, given.turns, ASKING, str(variables), str(lam))
                asked.append({"variables": variables, "lam": lam, **figures})
                print(asked[-1], flush=True)
            found = {"before": given.commit, "turns": given.turns, "rows": rows, "ask_and_tell": asked}
            print(write("step_before", found))
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


if __name__ == "__main__":
    main()
