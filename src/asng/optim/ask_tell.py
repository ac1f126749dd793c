"""Ask and tell: what all optimisers share, so that each of them is as small as its algorithm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, final

import numpy as np

from asng.checks import integer_at_least, one_of
from asng.distributions import Floats, Product, Theta, ThetaView
from asng.errors import InputError
from asng.optim.draws import Sampling, draw_uniforms
from asng.optim.saving import FORMAT, check_same, generator, pack_theta, unpack_theta, whole
from asng.space import Architecture, Candidate, Space

__all__ = ["HasTheta", "Optimizer", "Told"]


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


class HasTheta(Protocol):
    """The state of an optimiser: frozen, with theta and whatever else an update changes."""

    @property
    def theta(self) -> Theta:
        """Parameters of the distribution."""


class Optimizer(ABC):
    """Asks for losses of candidates and learns from the answers.

    An optimiser is a subclass that sets `_state` to where the search begins and has three methods: `_update`,
    from state to state, and `_pack` and `_unpack`, from the state to JSON and back. If the usual answers do
    not fit, it has `_draw`, `_best`, `delta` and `gamma` of its own too. Everything else is final.

    Args:
        product: Family of distributions over the space.
        lam: How many candidates `ask` returns by default, at least 2.
        seed: Seed of the generator, >= 0. The same seed gives the same search, bit for bit.
        sampling: How the samples of one `ask` relate: "independent" or "stratified"; "mirrored" by the
            paper's rules only.

    Attributes:
        space: The search space.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from dataclasses import dataclass
        >>> from asng.space import Integer
        >>> @dataclass(frozen=True)
        ... class Uniform:
        ...     theta: Theta
        >>> class Stubborn(Optimizer):
        ...     def __init__(self, space, seed=0):
        ...         super().__init__(Product(space), lam=4, seed=seed)
        ...         self._state = Uniform(self._product.initial())
        ...     def _update(self, told):
        ...         return self._state  # whatever is told
        ...     def _pack(self):
        ...         return {}
        ...     def _unpack(self, state, theta):
        ...         return Uniform(theta)
        >>> optimizer = Stubborn(Space({"width": Integer(1, 9)}))
        >>> optimizer.tell(optimizer.ask(), [3.0, 1.0, 2.0, 4.0])
        >>> optimizer.generation, optimizer.best
        (1, Architecture({'width': 5}))
    """

    _state: HasTheta

    def __init__(self, product: Product, *, lam: int, seed: int, sampling: Sampling = "independent") -> None:
        self.space: Space = product.space
        self._lam = integer_at_least("lam", lam, 2)  # a single sample has no rank
        self._product = product
        self._sampling = _checked(sampling, product)
        self._rng = np.random.default_rng(integer_at_least("seed", seed, 0))
        # What must be the same in the optimiser that goes on from a saved state; subclasses add their own.
        self._fixed: dict[str, object] = {"lam": lam, "sampling": sampling, "rules": product.rules}
        self._generation = 0
        self._asked = _Asked(np.empty((0, 0)), ())

    @abstractmethod
    def _update(self, told: Told) -> HasTheta:
        """Return the state after an update; `self` stays as it is."""

    @abstractmethod
    def _pack(self) -> dict[str, Any]:
        """Return what the state has beside theta, as plain values that JSON can hold."""

    @abstractmethod
    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> HasTheta:
        """Return the state that `_pack` wrote; RunError if it is damaged. `self` stays as it is."""

    def _count(self) -> int:
        """Return how many candidates `ask` draws by default. Usually as given."""
        return self._lam

    def _draw(self, u: Floats) -> Floats:
        """Map uniform numbers of shape (n, n_free) to raw draws, shape (n, D). Usually by theta."""
        return self._product.sample(self._state.theta, u)

    def _best(self) -> Floats:
        """Return the raw coordinates of `best`. Usually the mode of theta."""
        return self._product.mode(self._state.theta)

    @property
    def delta(self) -> float:
        """Length of the next step; 0 if steps have none."""
        return 0.0

    @property
    def gamma(self) -> float:
        """Expected squared length of the accumulated gradient, in [0, 1]; 0 if none is accumulated."""
        return 0.0

    @final
    @property
    def lam(self) -> int:
        """How many candidates `ask` returns by default."""
        return self._count()

    @final
    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""
        return self._generation

    @final
    @property
    def best(self) -> Architecture:
        """The architecture that the search stands for: usually each choice's mode, and each range's mean."""
        return self.space.decode(self._best())  # type: ignore[arg-type]

    @final
    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std) in raw coordinates (log where set)."""
        return ThetaView(self._product, self._state.theta)

    @final
    @property
    def entropy(self) -> float:
        """How undecided the search is, from 1 (at the start) to 0: a mean over the variables."""
        return self._product.entropy(self._state.theta)

    @final
    @property
    def n_theta(self) -> int:
        """Degrees of freedom: choices less one, and two for each ordered variable."""
        return self._product.n_theta

    @final
    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw candidates from the current distribution.

        Args:
            n: How many, at least 1. Default lam. They need not be told.

        Raises:
            InputError: n is no integer >= 1.
        """
        n = self.lam if n is None else integer_at_least("n", n, 1)
        product = self._product
        x = self._draw(draw_uniforms(self._rng, n, product.n_free, self._sampling, product.categoricals.size))
        x.flags.writeable = False
        # A row of an array serves as the sequence of floats that Candidate wants, without a copy.
        self._asked = _Asked(x, tuple(x))
        space, generation = self.space, self._generation
        return [Candidate(space, row, generation=generation) for row in self._asked.rows]

    @final
    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Learn from the losses of candidates.

        Args:
            candidates: Two or more, drawn since the last `tell` or made by `space.candidate`.
            losses: One for each, lower is better. NaN and infinities rank worst.

        Raises:
            InputError: Their numbers differ or are below 2, a loss is no number, or a candidate is of another
                space or was drawn before the last `tell`. The optimiser stays as it was.
        """
        told = _told(self._product, self._asked, self._generation, list(candidates), losses)
        self._state = self._update(told)
        self._generation += 1

    @final
    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""
        return {
            "format": FORMAT,
            **self._same(),
            "generation": self._generation,
            "generator": self._rng.bit_generator.state,
            "theta": pack_theta(self._state.theta),
            **self._pack(),
        }

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits.

        Raises:
            RunError: It does not fit this space and these arguments, or is damaged. The optimiser stays as
                it was.
        """
        check_same(state, self._same())
        generation, rng = whole(state, "generation"), generator(state)
        self._state = self._unpack(state, unpack_theta(state, self._product))
        self._generation, self._rng = generation, rng

    def _same(self) -> dict[str, Any]:
        """Return what a saved state must have in common with this optimiser."""
        settings = {name: str(value) for name, value in self._fixed.items()}
        return {"optimizer": type(self).__name__, "space": self.space.to_json(), "settings": settings}


def _checked(sampling: Sampling, product: Product) -> Sampling:
    if sampling == "mirrored" and product.rules != "paper":
        raise InputError(
            "sampling: expected 'stratified' or 'independent', got 'mirrored', with which the variance "
            "collapses. To show that, use ASNG.paper(space, mirrored=True)."
        )
    if sampling != "mirrored":
        one_of("sampling", sampling, ["stratified", "independent"])
    return sampling


class _Asked(NamedTuple):
    """What the last `ask` returned: one array, and its rows."""

    x: Floats
    rows: tuple[Any, ...]


def _told(
    product: Product,
    asked: _Asked,
    generation: int,
    candidates: list[Candidate],
    losses: Sequence[float],
) -> Told:
    if len(candidates) < 2:
        raise InputError(
            f"candidates: expected at least 2, because only their order counts, got {len(candidates)}. "
            "Tell several candidates at once."
        )
    values, space = _losses(losses, len(candidates)), product.space
    # Nobody can have written into the array of what was asked: it needs no check and no copy.
    unchanged = len(candidates) == len(asked.rows) and all(
        type(c) is Candidate and c.x is row and c.generation == generation and c.space is space
        for c, row in zip(candidates, asked.rows, strict=True)
    )
    x = asked.x if unchanged else _coordinates(product, generation, candidates)
    return Told(x, values, _active(product, candidates))


def _coordinates(product: Product, generation: int, candidates: list[Candidate]) -> Floats:
    for i, candidate in enumerate(candidates):
        _check(i, candidate, product.space)
        _check_in_time(i, candidate, generation)
    x = np.array([candidate.x for candidate in candidates], dtype=np.float64)
    if not product.is_fit(x):
        raise InputError(
            "candidates: expected finite coordinates, and indices of choices for categoricals, got "
            f"{x.tolist()!r}. Make candidates by ask() or space.candidate()."
        )
    return x


def _check(i: int, candidate: object, space: Space) -> None:
    if not isinstance(candidate, Candidate):
        raise InputError(
            f"candidates[{i}]: expected a Candidate, got {candidate!r}. "
            "Tell what ask() returned, or make one by space.candidate(space.encode(architecture))."
        )
    if candidate.space is not space and candidate.space != space:
        raise InputError(
            f"candidates[{i}]: expected a candidate of this optimiser's space, got one of another space. "
            "Tell each optimiser its own candidates."
        )
    if len(candidate.x) != len(space):
        raise InputError(f"candidates[{i}]: expected {len(space)} coordinates, got {len(candidate.x)}.")


def _check_in_time(i: int, candidate: Candidate, generation: int) -> None:
    """Refuse a draw from an earlier theta; draws made by hand are taken as they are.

    To take it, an update needs the density that it was drawn with, as `asng.optim.reuse` keeps one of each
    sample of the last update.
    """
    if candidate.generation != generation and candidate.generation is not None:
        raise InputError(
            f"candidates[{i}]: expected a draw of generation {generation}, got one of generation "
            f"{candidate.generation}: it was already told, or drawn before the last tell. Ask again."
        )


def _active(product: Product, candidates: list[Candidate]) -> Floats | None:
    if all(candidate.active is None for candidate in candidates):
        return None
    active = np.ones((len(candidates), len(product.space)))
    for row, candidate in zip(active, candidates, strict=True):
        if candidate.active is not None:
            row[:] = 0.0
            row[[_column(product, name) for name in candidate.active]] = 1.0
    # Constants count as read: nothing is learnt of them.
    return None if active[:, product.free].all() else active


def _column(product: Product, name: str) -> int:
    if name not in product.rank:
        raise InputError(f"active: expected names of variables, got {name!r}, which the space has not.")
    return product.rank[name]


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
