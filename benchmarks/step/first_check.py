"""How long does a search check itself before its first step?

    python -m benchmarks.step.first_check

Each space of `spaces.py` is searched with and without the check in turns. The time is that from the call of
`fit` to `Callback.begin`, which comes after the check. It is CPU time, so that other work on the machine does
not count. The share is that of a search of one minute; the time of a step stands beside it.
"""

import statistics
import time
from contextlib import suppress
from typing import Any

from asng import OneShotSearch
from asng.search import Callback
from benchmarks.record import write
from benchmarks.step.spaces import SPACES

ROUNDS = 2
STEPS = 3
MINUTE = 60.0


class EnoughError(Exception):
    """Enough steps were timed."""


class Clock(Callback):
    """Records when the search begins and when its first steps end; then ends it."""

    def __init__(self) -> None:
        self.begun, self.steps = 0.0, [0.0]

    def begin(self, loop: Any) -> None:
        """Note it."""
        super().begin(loop)
        self.begun = time.process_time()

    def step(self, number: int, loss: float, objective: float | None) -> None:
        """Note it."""
        self.steps.append(time.process_time())
        if number == STEPS:
            raise EnoughError


def timed(space: str, *, check: bool) -> tuple[float, float]:
    """Return the seconds until a search begins, and the seconds of a step."""
    setting, clock = SPACES[space], Clock()
    supernet = setting.supernet()
    search = OneShotSearch(
        supernet, setting.objective, warmup=0.0, final=0.0, callbacks=[clock], **setting.settings
    )
    called = time.process_time()
    with suppress(EnoughError):
        search.fit(setting.loader(1), setting.loader(2), epochs=1, progress=False, check=check)
    gaps = [after - before for before, after in zip(clock.steps[1:], clock.steps[2:], strict=False)]
    return clock.begun - called, statistics.median(gaps)


def main() -> None:
    """Time all spaces, small ones first; rows are written as they end."""
    rows: list[dict[str, Any]] = []
    for space in reversed(SPACES):
        found = [(timed(space, check=True), timed(space, check=False)) for _ in range(ROUNDS)]
        seconds = statistics.median(on[0] - off[0] for on, off in found)
        step = statistics.median(off[1] for _, off in found)
        row = {
            "space": space,
            "seconds": round(seconds, 3),
            "step": round(step, 4),
            "steps": round(seconds / step, 1),
            "share_of_a_minute": round(seconds / MINUTE, 4),
        }
        rows.append(row)
        print(row, flush=True)
        write("first_check", {"rounds": ROUNDS, "rows": rows})


if __name__ == "__main__":
    main()
