"""An asynchronous search, which tells the optimiser of each call as it comes back and starts another.

The order in which calls come back decides what is drawn next. The log keeps that order, and each of its
events holds the number of draws made by then. A search that repeats the draws between two events and takes
the outcomes in their order arrives at the same bits, whatever the timing.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from asng.black_box.calling import CallOutcome
from asng.black_box.loop import BEFORE, MinimizeLoop, failure
from asng.black_box.replay import evaluation_event
from asng.black_box.result import Evaluation
from asng.black_box.stopping import IDLE
from asng.space import Candidate

__all__ = ["AsynchronousLoop"]

_MOST_HELD = 64
"""Most draws that may wait for calls with possibly the same outcome; beyond it, drawing waits for a call."""


@dataclass
class AsynchronousLoop:
    """A search in progress whose calls are told one by one.

    Attributes:
        search: The state and methods that all searches share.
        n: How many calls to keep running.
        drawn: How many draws were made.
    """

    search: MinimizeLoop
    n: int
    drawn: int = 0
    _under_way: dict[int, Candidate] = field(default_factory=dict)
    _keys: dict[Hashable, int] = field(default_factory=dict)
    _held: dict[int, list[tuple[int, Candidate]]] = field(default_factory=dict)
    _since_update: list[Evaluation] = field(default_factory=list)
    _idle: int = 0
    _live: bool = False
    _reason: str | None = None

    def run(self) -> str:
        """Search until there is a reason to end, and return that reason."""
        self._repeat()
        self._fill()
        if self._reason is None and not self.search.is_late(0):
            for number, candidate in self._under_way.items():
                self.search.workers.start(number, candidate.architecture, self.search.curves.limits())
        self._live = True
        while self._reason is None:
            self._fill()
            if self._reason is None and not self._come_back():
                late, new = self.search.is_late(0), self._idle < self._longest
                return "seconds" if late else "budget" if new else "converged"
        return self._reason

    @property
    def _longest(self) -> int:
        """Draws in a row without anything new after which the search ends, if no call is running."""
        return IDLE * self.search.optimizer.lam

    def _repeat(self) -> None:
        """Repeat the logged part of the search."""
        search, calls = self.search, self.search.record.calls
        for place in list(calls):
            if self._reason is not None or search.evaluated >= search.budget:
                return
            while self.drawn < (calls[place].drawn or 0) and self._reason is None:
                self._draw()
            candidate = self._under_way.get(place[1])
            if self._reason is not None:
                return
            if candidate is None:
                raise search.record.other(place, None)
            outcome = search.record.outcome(place, candidate.architecture)
            if outcome is not None:
                self._take(place[1], outcome)

    def _fill(self) -> None:
        """Draw until as many calls are running as allowed."""
        while (
            self._reason is None
            and len(self._under_way) < self.n
            and self._idle < self._longest
            and sum(map(len, self._held.values())) < _MOST_HELD
            and self.search.evaluated + len(self._under_way) < self.search.budget
            and not self.search.is_late(0)
        ):
            self._draw()

    def _draw(self) -> None:
        start = self.search.start
        if self.drawn < len(start):
            candidate = start[self.drawn]
        else:
            candidate = self.search.optimizer.ask(1, under_way=list(self._under_way.values()))[0]
        self.drawn += 1
        self._idle += 1
        # As many idle draws as make one update count as one idle generation.
        self.search.idle = 0 if self._under_way else self._idle // self.search.optimizer.lam
        self._begin(self.drawn - 1, candidate)

    def _begin(self, number: int, candidate: Candidate) -> None:
        """Tell the outcome of a known draw, hold one that may equal a running call, else call f."""
        cache, architecture = self.search.cache, candidate.architecture
        known = cache.get(architecture)
        if known is not None:
            self._tell(candidate, known, cached=True)
            return
        key = self._key(number, candidate)
        if key in self._keys:
            self._held.setdefault(self._keys[key], []).append((number, candidate))
            return
        self._idle = self.search.idle = 0
        self._keys[key] = number
        self._under_way[number] = candidate
        if self._live:
            self.search.workers.start(number, architecture, self.search.curves.limits())

    def _key(self, number: int, candidate: Candidate) -> Hashable:
        """Return the key that draws share if their calls may have the same outcome."""
        cache = self.search.cache
        return number if cache.noisy else cache.alike(candidate.architecture, careful=False)

    def _come_back(self) -> bool:
        """Wait for calls and take their outcomes; return whether there were any."""
        search, failed, found = self.search, None, False
        for number, outcome in search.workers.finished():
            found, candidate = True, self._under_way[number]
            if outcome.error is not None and search.fail:
                failed = failed or (candidate.architecture, outcome)
                continue
            place = _generation(candidate), number
            search.log.write(
                evaluation_event(place, candidate.architecture, outcome, search.seconds, self.drawn)
            )
            if self._reason is None:  # after the end it is only logged, for a resumed search
                self._take(number, outcome)
        if failed is not None:
            search.workers.forget()
            while self._come_back():
                pass
            raise failure(*failed)
        if self.search.is_late(0):
            search.workers.forget()
        return found

    def _take(self, number: int, outcome: CallOutcome) -> None:
        """Take in the outcome of a call, and continue with the draws that waited for it."""
        candidate = self._under_way.pop(number)
        self.search.cache.keep(candidate.architecture, outcome)
        self.search.curves.add(outcome.curve)
        # Each outcome changes which draws may equal a running call: compute the keys anew.
        self._keys = {}
        for other, waiting in self._under_way.items():
            self._keys.setdefault(self._key(other, waiting), other)
        self._tell(candidate, outcome, cached=False)
        for other, held in self._held.pop(number, ()):
            if self._reason is None and self.search.evaluated + len(self._under_way) < self.search.budget:
                self._begin(other, held)

    def _tell(self, candidate: Candidate, outcome: CallOutcome, *, cached: bool) -> None:
        search = self.search
        before = search.optimizer.generation
        one = search.note(_generation(candidate), candidate.architecture, outcome, cached=cached)
        self._since_update.append(one)
        search.optimizer.tell(candidate.with_active(one.active), search.told([one])[0])
        if search.optimizer.generation != before:
            evaluations, self._since_update = tuple(self._since_update), []
            reason = search.end_of_generation(evaluations)
            self._reason = self._reason or reason


def _generation(candidate: Candidate) -> int:
    return BEFORE if candidate.generation is None else candidate.generation
