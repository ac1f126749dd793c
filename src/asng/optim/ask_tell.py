"""Ask and tell: the base class of all optimisers, which leaves only the algorithm to each of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np

from asng.checks import integer_at_least, one_of
from asng.distributions import Floats, Product, Theta, ThetaView
from asng.errors import InputError
from asng.optim.draws import Sampling, draw_uniforms
from asng.optim.reuse import LEAST, late_weights, read_by
from asng.optim.saving import FORMAT, check_same, generator, pack_theta, unpack_theta, whole
from asng.optim.told import (
    Batch,
    Draws,
    Losses,
    Origin,
    Told,
    arrays_of,
    checked_batch,
    joined,
    when_drawn,
)
from asng.space import Architecture, Candidate, Space

__all__ = ["HasTheta", "Optimizer", "Told"]


class HasTheta(Protocol):
    """The frozen state of an optimiser: theta and all else that an update changes."""

    @property
    def theta(self) -> Theta:
        """Parameters of the distribution."""


class Optimizer(ABC):
    """Base class of optimisers: `ask` proposes candidates, `tell` learns from their losses.

    A subclass sets `_state` to the initial state and has three methods: `_update`, from state to state, and
    `_pack` and `_unpack`, from the state to JSON and back. If the defaults do not fit, it also overrides
    `_draw` and `_log_density`, `_best`, `_count`, `delta` or `gamma`. Everything else is final.

    Args:
        product: Family of distributions over the space.
        lam: Number of candidates that `ask` returns by default, at least 2.
        seed: Seed of the generator, >= 0. The same seed gives the same search, bit for bit.
        sampling: How the samples of one `ask` relate: "independent" or "stratified"; "mirrored" with the
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

    numbers_each = 1
    """How many numbers are told of each candidate."""

    _state: HasTheta

    def __init__(self, product: Product, *, lam: int, seed: int, sampling: Sampling = "independent") -> None:
        self.space: Space = product.space
        self._lam = integer_at_least("lam", lam, 2)  # a single sample has no rank
        self._product = product
        self._sampling = _checked(sampling, product)
        seed = integer_at_least("seed", seed, 0)
        self._rng = np.random.default_rng(seed)
        # Settings that an optimiser must share with a saved state to load it; subclasses add their own.
        self._fixed: dict[str, object] = {"lam": self._lam, "sampling": sampling, "rules": product.rules}
        self._generation = 0
        self._draws = Draws(seed, product.n_free)
        self._under_way: Floats = np.empty((0, len(product.space)))

    @abstractmethod
    def _update(self, told: Told) -> HasTheta:
        """Return the state after an update; `self` stays as it is."""

    @abstractmethod
    def _pack(self) -> dict[str, Any]:
        """Return everything in the state except theta, as plain values for JSON."""

    @abstractmethod
    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> HasTheta:
        """Return the state that `_pack` saved; raise RunError if it is damaged. `self` stays as it is."""

    def _count(self) -> int:
        """Return how many candidates `ask` draws by default; here `lam` as given."""
        return self._lam

    def _draw(self, u: Floats) -> Floats:
        """Map uniform numbers of shape (n, n_free) to raw draws, shape (n, D); here samples of theta.

        `_under_way` holds the raw coordinates of candidates that are being evaluated or wait for an update,
        shape (m, D).
        """
        return self._product.sample(self._state.theta, u)

    def _log_density(self, theta: Theta, x: Floats, active: Floats | None) -> Floats:
        """Return the log density with which `_draw` draws raw coordinates under a theta, for late tells.

        Args:
            theta: Parameters at the time of the draw, or now.
            x: Raw draws, shape (n, D).
            active: 1 for the variables to include, those that a draw read, shape (n, D); None for all.

        Returns:
            Logarithms up to a constant, shape (n,).
        """
        return self._product.log_density(theta, self._product.placed(theta, x), active)

    def _best(self) -> Floats:
        """Return the raw coordinates of `best`; here the mode of theta."""
        return self._product.mode(self._state.theta)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._standing()})"

    def _repr_html_(self) -> str:
        return f"<p>{type(self).__name__}: {self._standing()}</p>{self.theta._repr_html_()}"

    def _standing(self) -> str:
        return f"{len(self.space)} variables, generation {self.generation}, entropy {self.entropy:.3g}"

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
        """Number of candidates that `ask` returns by default."""
        return self._count()

    @final
    @property
    def draw_seed(self) -> int:
        """The seed by which the optimiser recognises its own draws."""
        return self._draws.seed

    @final
    @property
    def generation(self) -> int:
        """Number of updates so far: one for each `tell` of two or more, or for `lam` single ones."""
        return self._generation

    @final
    @property
    def best(self) -> Architecture:
        """The architecture to return now: usually each choice's mode and each ordered variable's mean."""
        return self.space.decode(self._best())  # type: ignore[arg-type]

    @final
    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std) in raw coordinates (log if set)."""
        return ThetaView(self._product, self._state.theta)

    @final
    @property
    def entropy(self) -> float:
        """Mean relative entropy of the variables: 1 at the usual start, near 0 after convergence."""
        return self._product.entropy(self._state.theta)

    @final
    @property
    def n_theta(self) -> int:
        """Degrees of freedom: K - 1 for each variable of K choices, and two for each ordered variable."""
        return self._product.n_theta

    @final
    def ask(
        self,
        n: int | None = None,
        *,
        under_way: Sequence[Candidate] = (),
        rng: np.random.Generator | None = None,
    ) -> list[Candidate]:
        """Draw candidates from the current distribution.

        Args:
            n: Number of candidates, at least 1. Default lam. They need not be told.
            under_way: Candidates whose losses are still to come, drawn here or elsewhere. An optimiser with a
                model of losses proposes others; draws from a distribution ignore them.
            rng: Generator for these draws. Default: the optimiser's own. With a generator of the caller, the
                optimiser's state depends only on what it is told, so it can be the same in several processes.

        Raises:
            InputError: n is not an integer >= 1, or a candidate is of another space.
        """
        n = self.lam if n is None else integer_at_least("n", n, 1)
        before = self._rng, self._under_way
        self._rng = before[0] if rng is None else rng
        self._under_way = self._not_learnt(under_way)
        try:
            x = self._draw(self._uniforms(n))
        finally:
            self._rng, self._under_way = before
        x.flags.writeable = False
        origin = Origin(self._state.theta, self._draws.seed, alone=n == 1)
        first, rows = self._draws.drawn_now(x)
        space, generation = self.space, self._generation
        return [
            Candidate(space, row, generation=generation, number=number, origin=origin)
            for number, row in enumerate(rows, start=first)
        ]

    @final
    def log_density(self, candidates: Sequence[Candidate], *, drawn: bool = False) -> Floats:
        """Return the log density of candidates under the present distribution, over what each of them read.

        Args:
            candidates: Candidates of this space.
            drawn: Whether to use the distribution that each was drawn from instead, if that is known.

        Returns:
            Logarithms, up to a constant that is the same for all thetas of the space; shape (n,).

        Raises:
            InputError: A candidate is of another space.
        """
        x, active = arrays_of(self._product, candidates)
        now = self._log_density(self._state.theta, x, active)
        if not drawn:
            return now
        then = when_drawn(list(candidates), x, active, self._state.theta, self._log_density)
        return now if then is None else np.where(np.isnan(then), now, then)

    @final
    def tell(
        self,
        candidates: Sequence[Candidate] | Candidate,
        losses: Losses,
        *,
        log_densities: Floats | None = None,
    ) -> None:
        """Learn from the losses of candidates, told in any order and each once; some may never be told.

        A candidate may be told late, after theta has moved on. It is then weighted by its present density
        divided by its density when it was drawn (`asng.optim.reuse`), at most 1.

        Args:
            candidates: Two or more, drawn by this optimiser or made by `space.candidate`, for an immediate
                update. Or a single one, also as the list that `ask(1)` returned: it waits until there are
                `lam`, or until the next two or more are told.
            losses: One for each candidate, smaller is better. NaN and infinities rank worst. A list of
                `numbers_each` numbers for each if that is more than 1.
            log_densities: The log density, as of `log_density`, that each was drawn with if another
                distribution drew it, shape (n,); they weight the candidates. Default: as the candidates know.

        Raises:
            InputError: The numbers of candidates and losses differ, a list has only one of several candidates
                drawn together, a loss is not a number, or a candidate is of another space or was told
                before. The optimiser stays as it was.

        Example:
            >>> from asng import ASNG, Integer
            >>> opt = ASNG(Space({"width": Integer(1, 9)}))
            >>> early, late = opt.ask(1)[0], opt.ask()
            >>> opt.tell(late, [abs(c["width"] - 4) for c in late])
            >>> opt.tell(early, abs(early["width"] - 4))  # waits for seven others
            >>> opt.generation
            1
        """
        theta, draws, each = self._state.theta, self._draws, self.numbers_each
        batch = checked_batch(self._product, draws, theta, candidates, losses, self._log_density, each)
        if log_densities is not None:
            batch = batch._replace(then=log_densities)
        together = joined(draws.waiting, batch)
        if len(batch.losses) == 1 and len(together.losses) < self.lam:
            draws.waiting = together
        else:
            told = self._weighted(together)
            self._state = self._state if told is None else self._update(told)
            self._generation += 1
            draws.waiting = None
        draws.note_told(batch)

    @final
    def state_dict(self) -> dict[str, Any]:
        """Return the complete state, as plain values for JSON."""
        return {
            "format": FORMAT,
            **self._same(),
            "generation": self._generation,
            "generator": self._rng.bit_generator.state,
            "theta": pack_theta(self._state.theta),
            "draws": self._draws.pack(),
            **self._pack(),
        }

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, so that the search continues bit for bit.

        Raises:
            RunError: The state does not fit this space and these arguments, or is damaged. The optimiser
                stays as it was.
        """
        check_same(state, self._same())
        generation, rng = whole(state, "generation"), generator(state)
        draws = Draws.unpack(state, self._product, self.numbers_each)
        self._state = self._unpack(state, unpack_theta(state, self._product))
        self._generation, self._rng, self._draws = generation, rng, draws

    def _uniforms(self, n: int) -> Floats:
        """Return the uniform numbers of n draws; single ones share the strata of lam."""
        product, draws = self._product, self._draws
        if n == 1 and self._sampling == "stratified":
            if not len(draws.rest):
                draws.rest = draw_uniforms(self._rng, self.lam, product.n_free, "stratified", 0)
            u, draws.rest = draws.rest[:1], draws.rest[1:]
            return u
        return draw_uniforms(self._rng, n, product.n_free, self._sampling, product.categoricals.size)

    def _not_learnt(self, under_way: Sequence[Candidate]) -> Floats:
        """Return the raw draws of `under_way` and of candidates that wait for an update, shape (m, D)."""
        parts = [] if self._draws.waiting is None else [self._draws.waiting.x]
        if under_way:
            parts.append(arrays_of(self._product, under_way)[0])
        return np.concatenate(parts) if parts else np.empty((0, len(self.space)))

    def _weighted(self, batch: Batch) -> Told | None:
        """Return samples for an update, late ones weighted; None if together they carry no information."""
        x, losses, active, then = batch.x, batch.losses, batch.active, batch.then
        if then is None:
            return Told(x, losses, active)
        weights = late_weights(self._log_density(self._state.theta, x, read_by(active)), then)
        if weights is None:
            return None
        if (weights != 1.0).any():
            said = weights >= LEAST  # a sample of almost no weight would still take a rank
            if said.sum() < 2:
                return None
            weights = weights[said] / weights[said].mean()
            active = np.ones_like(x) if active is None else active
            x, losses, active = x[said], losses[said], active[said] * weights[:, None]
        return Told(x, losses, active)

    def _same(self) -> dict[str, Any]:
        """Return the values that a saved state must share with this optimiser."""
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
