"""A step of our search over the same step at an earlier commit, in turns.

OMP_NUM_THREADS=1 python -m benchmarks.step.before COMMIT

Each side is a process of its own, that of the earlier commit in a work tree of it. A turn gives both the same
architectures, in an order that changes from turn to turn; figures are of the ratio within turns. What the
clock says of a process that is not at work is left out: times are of the processor.
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


def server(tree: Path, space: str) -> "subprocess.Popen[str]":
    """Start the side of a work tree."""
    paths = [tree / "src", tree, tree / "benchmarks"]
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, space],
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


def compare(tree: Path, space: str, turns: int) -> dict[str, object]:
    """Return the milliseconds of a step of both sides, and their ratio."""
    sides = {"now": server(ROOT, space), "before": server(tree, space)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for seed in range(turns + 1):
            for name in list(sides)[:: 1 if seed % 2 else -1]:
                taken = turn(sides[name], seed)
                if seed:  # the first turn makes what torch makes once
                    times[name].append(taken)
    finally:
        for side in sides.values():
            side.kill()
            side.wait()
    ratios = [now / before for now, before in zip(times["now"], times["before"], strict=True)]
    return {
        "space": space,
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
            rows = []
            for space in SPACES:
                rows.append(compare(tree, space, given.turns))
                print(rows[-1], flush=True)
                write("step_before", {"before": given.commit, "turns": given.turns, "rows": rows})
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


if __name__ == "__main__":
    main()
