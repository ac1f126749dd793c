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
"""Operations that are told apart."""
TURNS = 4


def difference(setting: Setting) -> dict[str, Any]:
    """Return milliseconds a step by which ours differs from the limit: by operation, and beside them.

    Operations run with the profiler on, which makes each longer; what is not in one is Python's, and the
    profiler's own. Each side takes `TURNS` turns with the same architectures, by turns.
    """
    ours, limit = Ours(setting), Limit(setting)
    space, draw = ours.supernet.space, random.Random(0)
    rows: Counter[str] = Counter()  # in which what is less may be negative
    total = 0.0
    for turn in range(TURNS + 1):
        drawn = setting.draw(space, draw)
        for side, sign in ((ours, 1), (limit, -1))[:: 1 if turn % 2 else -1]:
            side.ready(drawn)
            taken, milliseconds = _operations(side, setting.steps)
            if turn:  # the first one makes what torch makes once
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
    """Return milliseconds a step in each operation, and in all."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        start = time.perf_counter()
        for _ in range(steps):
            side.step()
        total = time.perf_counter() - start
    taken = {row.key: row.self_cpu_time_total / 1e3 / steps for row in recorded.key_averages()}
    return taken, 1e3 * total / steps
