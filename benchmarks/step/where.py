"""Where the time of a step goes, by torch's profiler."""

import random
import time
from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.step.limit import Limit
from benchmarks.step.ours import Ours
from benchmarks.step.spaces import Setting

__all__ = ["difference"]

MOST = 8
"""Number of operations that are listed by name."""
TURNS = 4


def difference(setting: Setting) -> dict[str, Any]:
    """Return the milliseconds a step by which ours differs from the limit: by operation, and outside them.

    The profiler makes each operation slower; time outside operations is Python's and the profiler's own. The
    sides alternate, with `TURNS` turns each over the same architectures.
    """
    ours, limit = Ours(setting), Limit(setting)
    space, draw = ours.supernet.space, random.Random(0)
    rows: Counter[str] = Counter()  # values are negative if ours takes less
    total = 0.0
    for turn in range(TURNS + 1):
        drawn = setting.draw(space, draw)
        for side, sign in ((ours, 1), (limit, -1))[:: 1 if turn % 2 else -1]:
            side.ready(drawn)
            taken, milliseconds = _operations(side, setting.steps)
            if turn:  # the first turn includes one-time setup of torch
                total += sign * milliseconds / TURNS
                for name, value in taken.items():
                    rows[name] += sign * value / TURNS
    largest = sorted(rows, key=lambda name: -abs(rows[name]))[:MOST]
    return {
        "turns": TURNS,
        "total_ms": round(total, 3),
        "python_ms": round(total - sum(rows.values()), 3),
        "operations_ms": {name: round(rows[name], 3) for name in largest},
    }


def _operations(side: Ours | Limit, steps: int) -> tuple[dict[str, float], float]:
    """Return the milliseconds a step in each operation, and in total."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        start = time.perf_counter()
        for _ in range(steps):
            side.step()
        total = time.perf_counter() - start
    taken = {row.key: row.self_cpu_time_total / 1e3 / steps for row in recorded.key_averages()}
    return taken, 1e3 * total / steps
