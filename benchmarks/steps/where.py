"""Where the time of a step goes, by torch's profiler."""

import random
import time
from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile

from steps.limit import Limit
from steps.ours import Ours, drawn_from
from steps.spaces import Setting

__all__ = ["difference"]

MOST = 8
"""Operations that are told apart."""


def difference(setting: Setting) -> dict[str, Any]:
    """Return milliseconds a step by which ours differs from the limit: by operation, and beside them.

    Operations run with the profiler on, which makes each longer; what is not in one is Python's, and the
    profiler's own.
    """
    ours, limit = Ours(setting), Limit(setting)
    drawn = drawn_from(ours.loop.supernet.space, setting, random.Random(0))
    mine, mine_total = _operations(ours, drawn, setting.steps)
    others, others_total = _operations(limit, drawn, setting.steps)
    rows = {name: mine[name] - others[name] for name in mine | others}
    largest = sorted(rows, key=lambda name: -abs(rows[name]))[:MOST]
    between = mine_total - sum(mine.values()) - (others_total - sum(others.values()))
    return {
        "total_ms": round(mine_total - others_total, 3),
        "python_ms": round(between, 3),
        "operations_ms": {name: round(rows[name], 3) for name in largest},
    }


def _operations(side: Any, drawn: Any, steps: int) -> tuple[Counter[str], float]:
    """Return milliseconds a step in each operation, and in all."""
    for _ in range(2):  # the first turn makes what torch makes once
        side.ready(drawn)
        with profile(activities=[ProfilerActivity.CPU]) as recorded:
            start = time.perf_counter()
            for _ in range(steps):
                side.step()
            total = time.perf_counter() - start
    taken: Counter[str] = Counter()
    for row in recorded.key_averages():
        taken[row.key] += row.self_cpu_time_total / 1e3 / steps
    return taken, 1e3 * total / steps
