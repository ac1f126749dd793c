"""Primes that name channels in passes on shapes alone: they are factors of all sizes that channels make."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from asng.nn.conversion.listening import MisfitError

__all__ = ["SINGLE", "Names"]

_FIRST_PRIME = 10_007

SINGLE = "it makes a single channel"


class Names:
    """The primes that stand for the channels of layers."""

    def __init__(self, widths: Mapping[str, int]) -> None:
        self.widths = dict(widths)
        self.primes = dict(zip(widths, _primes(), strict=False))
        # A single channel cannot be lost, and meets any number of others.
        self.fixed = {path: SINGLE for path, width in widths.items() if width == 1}
        self.ran: list[str] = []
        self.sums: dict[int, list[int]] = {}
        self.given: dict[str, int] = {}

    def enter(self, path: str, size: int) -> None:
        """Record the number of channels that a layer is given, which must be the same in each call.

        Raises:
            MisfitError: It was given another number before.
        """
        if self.given.setdefault(path, size) != size:
            raise MisfitError(f"{path}, called several times,", [(self.given[path],), (size,)])

    def size(self, path: str) -> int:
        """Record that a layer ran, and return the number of channels that it makes in a pass on shapes."""
        self.ran.append(path)
        return self.wide(path)

    @property
    def last(self) -> int | None:
        """The prime of the layer that ran last, among those that are not fixed; None if there is none."""
        return next((self.primes[path] for path in reversed(self.ran) if path not in self.fixed), None)

    def wide(self, path: str) -> int:
        """Return the size that stands for the channels of a layer or a tensor in a pass on shapes."""
        return self.widths[path] * (1 if path in self.fixed else self.primes[path])

    def within(self, size: int) -> set[int]:
        """Return the primes of layers that divide a size, or its parts, without those of fixed layers."""
        if not size:
            return set()
        found = {p for path, p in self.primes.items() if path not in self.fixed and size % p == 0}
        whole = next((w for w in self.sums if w >= _FIRST_PRIME and size % w == 0), 0)
        return found.union(*map(self.within, self.sums[whole])) if whole else found

    def apart(self, one: int, other: int) -> tuple[set[int], set[int]]:
        """Return the primes that two sizes should have in common, and have not.

        Several sides of a tensor may be multiplied. Then those count that are equally wide.
        """
        here, there = self.within(one), self.within(other)
        if max(len(here), len(there)) < 2 or one % prod(here) or other % prod(there):
            return here, there
        here, there = here - there, there - here
        for ours, theirs in product(here, there):
            if self.are_alike(ours, theirs):
                return {ours}, {theirs}
        return here, there

    def are_alike(self, one: int, other: int) -> bool:
        """Whether a layer of one prime is as wide as one of another."""
        return not self._widths(one).isdisjoint(self._widths(other))

    def _widths(self, prime: int) -> set[int]:
        return {self.widths[path] for path, p in self.primes.items() if p == prime}

    def couple(self, one: int, other: int) -> None:
        """Couple two primes: give the layers of `other` the prime `one`."""
        self.primes = {path: one if p == other else p for path, p in self.primes.items()}

    def fix(self, prime: int, why: str) -> None:
        """Fix the number of channels of the layers of a prime."""
        for path, p in self.primes.items():
            if p == prime:
                self.fixed.setdefault(path, why)


def _primes() -> Iterator[int]:
    number = _FIRST_PRIME
    while True:
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number
        number += 2
