"""Asking, and reading what is told: the part that all optimisers share."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from asng.checks import integer_at_least
from asng.distributions import Floats, Product, blocks
from asng.errors import InputError
from asng.space import Candidate, Space

__all__ = ["Draws", "Told", "Sampling", "draw_uniforms"]

Sampling: TypeAlias = Literal["stratified", "independent", "mirrored"]


def draw_uniforms(
    rng: np.random.Generator, n: int, size: int, sampling: Sampling, mirror_from: int
) -> Floats:
    """Return uniform numbers in [0, 1), one row a sample.

    "stratified": each variable's n numbers are ``(v + k/n) mod 1``, v uniform and k a permutation, both
    drawn anew for each variable. Each number is exactly uniform, so that estimates stay unbiased, but
    together they cover the range evenly, so that two samples rarely repeat each other.

    "mirrored": independent, but the columns from `mirror_from` on come in pairs u, 1 - u, as the authors
    draw their integers. With two samples a pair's second moments say nothing of the spread, and each
    update shrinks the variance: there only to show that.

    Args:
        rng: Source of randomness.
        n: Number of samples, at least 1.
        size: Number of variables.
        sampling: How the samples of one variable relate.
        mirror_from: First mirrored column.

    Returns:
        Shape (n, size).

    Example:
        >>> u = draw_uniforms(np.random.default_rng(0), 4, 1, "stratified", 0)
        >>> sorted((4 * u[:, 0]).astype(int).tolist())
        [0, 1, 2, 3]
    """
    if sampling == "stratified" and n > 1:
        return _stratified(rng, n, size)
    u = rng.random((n, size))
    if sampling == "mirrored":
        half = u[: (n + 1) // 2, mirror_from:].copy()
        u[::2, mirror_from:] = half
        u[1::2, mirror_from:] = 1.0 - half[: n // 2]
    return u


def _stratified(rng: np.random.Generator, n: int, size: int) -> Floats:
    v = rng.random(size)
    if n == 2:
        # v and v + 1/2 in either order: v itself is uniform on [0, 1), so the order is random already.
        u = np.empty((2, size))
        u[0], u[1] = v, v + 0.5
        u -= np.floor(u)
        return u
    u = np.empty((n, size))
    for (own,) in blocks(n, size):
        part = u[:, own]
        part[:] = _strata(n)
        rng.permuted(part, axis=0, out=part)
        part += v[own]
        part -= np.floor(part)
    return u


@lru_cache(maxsize=64)
def _strata(n: int) -> Floats:
    """Return k/n for k = 0 .. n-1, shape (n, 1)."""
    strata: Floats = (np.arange(n, dtype=np.float64) / n)[:, None]
    strata.flags.writeable = False
    return strata


class Told(NamedTuple):
    """Candidates and losses, checked, as arrays.

    Attributes:
        x: Raw draws, shape (n, D).
        losses: Losses, shape (n,); may hold NaN and infinities.
        active: 1 where sample i read variable d, else 0, shape (n, D); None where all did.
    """

    x: Floats
    losses: Floats
    active: Floats | None


class Draws:
    """The generator of an optimiser and the count of its updates.

    Args:
        product: Distribution to draw from.
        seed: Seed of the generator, an integer >= 0.
        sampling: How the samples of one `ask` relate.

    Attributes:
        rng: The only source of randomness.
        generation: Number of updates so far; candidates carry the one that they were drawn in.
    """

    def __init__(self, product: Product, *, seed: int, sampling: Sampling) -> None:
        self.product = product
        self.rng = np.random.default_rng(integer_at_least("seed", seed, 0))
        self.sampling: Sampling = sampling
        self.generation = 0
        self._asked: Floats = np.empty((0, 0))  # by the last ask: one array,
        self._rows: tuple[Any, ...] = ()  # and its rows

    def ask(self, n: int, place: Callable[[Floats], Floats]) -> list[Candidate]:
        """Draw n candidates, `place` mapping uniform numbers of shape (n, n_free) to raw coordinates."""
        integer_at_least("n", n, 1)
        product = self.product
        u = draw_uniforms(self.rng, n, product.n_free, self.sampling, product.categoricals.size)
        x = place(u)
        x.flags.writeable = False
        # A row of an array serves as the sequence of floats that Candidate wants, without a copy.
        self._asked, self._rows = x, tuple(x)
        space, generation = product.space, self.generation
        return [Candidate(space, row, generation=generation) for row in self._rows]

    def read(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> Told:
        """Return what is told as arrays.

        Raises:
            InputError: Fewer than 2 candidates; another number of losses; losses that are no numbers; a
                candidate of another space, of an earlier generation, or with unfit coordinates.
        """
        candidates = list(candidates)
        if len(candidates) < 2:
            raise InputError(
                f"candidates: expected at least 2, because only their order counts, got {len(candidates)}. "
                "Tell several candidates at once."
            )
        values = _losses(losses, len(candidates))
        x = self._asked if self._are_asked(candidates) else self._coordinates(candidates)
        return Told(x, values, self._active(candidates))

    def _are_asked(self, candidates: list[Candidate]) -> bool:
        """Whether these are what the last `ask` returned, in whose array nobody can have written since."""
        space, generation = self.product.space, self.generation
        return len(candidates) == len(self._rows) and all(
            type(c) is Candidate and c.x is row and c.generation == generation and c.space is space
            for c, row in zip(candidates, self._rows, strict=True)
        )

    def _coordinates(self, candidates: list[Candidate]) -> Floats:
        for i, candidate in enumerate(candidates):
            self._check(i, candidate)
        x = np.array([candidate.x for candidate in candidates], dtype=np.float64)
        if not self.product.is_fit(x):
            raise InputError(
                "candidates: expected finite coordinates, and indices of choices for categoricals, got "
                f"{x.tolist()!r}. Make candidates by ask() or space.candidate()."
            )
        return x

    def _check(self, i: int, candidate: object) -> None:
        if not isinstance(candidate, Candidate):
            raise InputError(
                f"candidates[{i}]: expected a Candidate, got {candidate!r}. "
                "Tell what ask() returned, or make one by space.candidate(space.encode(architecture))."
            )
        if candidate.space is not self.product.space and candidate.space != self.product.space:
            raise InputError(
                f"candidates[{i}]: expected a candidate of this optimiser's space, got one of another space. "
                "Tell each optimiser its own candidates."
            )
        if candidate.generation != self.generation and candidate.generation is not None:
            raise InputError(
                f"candidates[{i}]: expected a draw of generation {self.generation}, got one of generation "
                f"{candidate.generation}: it was already told, or drawn before the last tell. Ask again."
            )
        if len(candidate.x) != len(self.product.space):
            raise InputError(
                f"candidates[{i}]: expected {len(self.product.space)} coordinates, got {len(candidate.x)}."
            )

    def _active(self, candidates: list[Candidate]) -> Floats | None:
        if all(candidate.active is None for candidate in candidates):
            return None
        active = np.ones((len(candidates), len(self.product.space)))
        for row, candidate in zip(active, candidates, strict=True):
            if candidate.active is not None:
                row[:] = 0.0
                row[[self._column(name) for name in candidate.active]] = 1.0
        # Constants count as read: nothing is learnt of them.
        return None if active[:, self.product.free].all() else active

    def _column(self, name: str) -> int:
        if name not in self.product.rank:
            raise InputError(f"active: expected names of variables, got {name!r}, which the space has not.")
        return self.product.rank[name]


def check_lam(space: Space, lam: int) -> int:
    """Return lam, at least 2: a single sample has no rank."""
    if not isinstance(space, Space):
        raise InputError(f"space: expected an asng.Space, got {space!r}.")
    return integer_at_least("lam", lam, 2)


def _losses(losses: Sequence[float], n: int) -> Floats:
    values = np.asarray(losses)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InputError(
            f"losses: expected a flat sequence of {n} numbers, one a candidate, got {losses!r}. "
            "Convert each to float; for a failed evaluation tell float('inf')."
        )
    if len(values) != n:
        raise InputError(f"losses: expected {n} numbers, one a candidate, got {len(values)}.")
    return values.astype(np.float64)
