"""Adaptive Stochastic Natural Gradient: ask for candidates, tell their losses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from asng.checks import one_of, real_between
from asng.distributions import Product, ThetaView, start
from asng.errors import InputError, RunError
from asng.optim.control_variate import Memory
from asng.optim.draws import Draws, check_lam
from asng.optim.reuse import Former, pack_former, unpack_former
from asng.optim.saving import array, get, number, pack, pack_theta, unpack, unpack_theta, whole
from asng.optim.step import Settings, State, first_state, step
from asng.space import Architecture, Candidate, Space

__all__ = ["ASNG"]


class ASNG:
    """Adaptive Stochastic Natural Gradient.

    Keeps a distribution over the space and moves it, by natural gradient steps of adapted length,
    towards what was evaluated as better. Only the order of losses counts. Needs no tuning: the length
    of a step grows where steps agree and shrinks where they contradict each other.

    Differs from the paper in details that its authors' code shows to matter; `ASNG.paper` has theirs:
    stratified samples instead of independent ones; utilities in which every sample speaks; a prediction of
    utilities that takes noise off (`asng.optim.control_variate`); samples that are read twice
    (`asng.optim.reuse`); another margin of the probabilities; coordinates that treat all choices alike; a
    geometric step in the spread of ordered variables; a step size that is bounded, and adapts faster at
    first; more samples an update. What each of them brings: docs/optimiser.md.

    Args:
        space: The search space.
        lam: Samples an update (lambda_theta), at least 2. The default suits a black box; in one-shot
            search, where a sample costs a forward pass and the weights move on, 2 is better.
        seed: Seed of the generator, >= 0. The same seed gives the same search, bit for bit.
        alpha: Threshold of the step-size adaptation, > 0.
        delta_init: First step size (delta^0_theta), > 0.
        Delta_max: Largest divisor of the step size, >= 1. The step size never falls below
            delta_init / Delta_max.
        delta_max: Longest step (delta_theta), > 0; comes before Delta_max. Default: 2, with caution
            1, since long steps take the spread of ordered variables along.
        early: Adapt the step size faster during the first updates, so that delta_init hardly matters.
        settled: The chance that all variables draw their mode where the search has settled, in (0, 0.999].
            What is left is the margin of the probabilities: lower finds sooner what was given up wrongly.
        prior: Where to begin: `theta` of an earlier search of the same or a similar kind, as it is, from a
            run's log, or one's own guess, for some or all variables. Default: uniform, the middle of
            each range.
        trust: Share of the prior in the first theta, in [0, 1]; the rest is the usual start.
        sampling: "stratified" or "independent".
        reuse: Read the samples of the last update once more, by importance weights (`asng.optim.reuse`):
            about a sixth fewer evaluations. Their losses must be comparable with new ones; switch it off
            where they drift, as in one-shot search. Default: as memory.
        memory: Predict losses from former samples and learn from what was not foreseen. Default: with more
            than two samples an update, and without caution. Takes about a fifth to a third of the evaluations
            off, none where only the first wrong variable counts: docs/optimiser.md.
        cautious: Move a variable only where its accumulated signal is more than twice what chance makes of
            it. Variables that do not matter stay undecided, and the search takes longer: docs/optimiser.md.
        rules: "default", or "paper" for the update of the authors' code; see `ASNG.paper`.

    Raises:
        InputError: An argument is not as described.

    Example:
        >>> from asng.space import Categorical, Integer
        >>> space = Space({"op": Categorical(["conv", "pool", "skip"]), "width": Integer(1, 64)})
        >>> opt = ASNG(space, seed=0)
        >>> for _ in range(100):
        ...     candidates = opt.ask()
        ...     opt.tell(candidates, [abs(c["width"] - 40) + 9 * (c["op"] != "pool") for c in candidates])
        >>> opt.best["op"], abs(opt.best["width"] - 40) <= 1
        ('pool', True)

    References:
        Akimoto, Shirakawa, Yoshinari, Uchida, Saito, Nishida, "Adaptive Stochastic Natural Gradient
        Method for One-Shot Neural Architecture Search", ICML 2019, Algorithm 1.
    """

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 8,
        seed: int = 0,
        alpha: float = 1.5,
        delta_init: float = 1.0,
        Delta_max: float = math.inf,
        delta_max: float | None = None,
        early: bool = True,
        settled: float = 0.37,
        prior: Mapping[str, Any] | None = None,
        trust: float = 0.5,
        sampling: Literal["stratified", "independent"] = "stratified",
        reuse: bool | None = None,
        memory: bool | None = None,
        cautious: bool = False,
        rules: Literal["default", "paper"] = "default",
    ) -> None:
        self.lam = check_lam(space, lam)
        self.space = space
        if sampling == "mirrored":  # type: ignore[comparison-overlap]
            raise InputError(
                "sampling: expected 'stratified' or 'independent', got 'mirrored', with which the variance "
                "collapses. To show that, use ASNG.paper(space, mirrored=True)."
            )
        one_of("sampling", sampling, ["stratified", "independent"])
        one_of("rules", rules, ["default", "paper"])
        flags = {"reuse": reuse, "memory": memory, "cautious": cautious, "early": early}
        for name, flag in flags.items():
            if not (isinstance(flag, bool) or (flag is None and name in ("reuse", "memory"))):
                raise InputError(f"{name}: expected True or False, got {flag!r}.")
        if delta_max is None:
            delta_max = 1.0 if cautious else 2.0
        if memory is None:
            memory = self.lam > 2 and not cautious and rules == "default"
        if memory + cautious + (rules == "paper") > 1:
            raise InputError(
                "memory, cautious, rules: expected at most one of memory=True, cautious=True and "
                f"rules='paper', got {memory}, {cautious} and {rules!r}. Leave the others out."
            )
        if reuse and rules == "paper":
            raise InputError("reuse: expected False with rules='paper', got True. Leave it out.")
        self._settings = Settings(
            alpha=real_between("alpha", alpha, 0.0, 1e6, open_low=True),
            delta_init=real_between("delta_init", delta_init, 0.0, 1e6, open_low=True),
            Delta_max=real_between("Delta_max", Delta_max, 1.0, math.inf),
            delta_max=real_between("delta_max", delta_max, 0.0, math.inf, open_low=True),
            early=early,
            reuse=memory if reuse is None else reuse,
            memory=memory,
            cautious=cautious,
            scores=rules == "default",
        )
        self._rules = rules
        self._settled = real_between("settled", settled, 0.0, 0.999, open_low=True)
        self._product = Product(space, rules=rules, settled=settled)
        self._draws = Draws(self._product, seed=seed, sampling=sampling)
        self._state = first_state(self._product, self._settings)
        trust = real_between("trust", trust, 0.0, 1.0)
        if prior is not None:
            self._state = replace(self._state, theta=start(self._product, prior, trust))

    @classmethod
    def paper(
        cls,
        space: Space,
        *,
        lam: int = 2,
        seed: int = 0,
        alpha: float = 1.5,
        delta_init: float = 1.0,
        mirrored: bool = False,
    ) -> "ASNG":
        """Return the optimiser with the settings and the details of the paper's authors.

        Given the same samples it follows their code. It does not repeat its faults: losses that tie,
        small spaces, large or zero means and a small delta_init are handled.

        Args:
            space: The search space.
            lam: Samples an update, at least 2.
            seed: Seed of the generator, >= 0.
            alpha: Threshold of the step-size adaptation, > 0.
            delta_init: First step size, > 0.
            mirrored: Draw ordered variables in mirrored pairs, as the authors do. With lam = 2 their variance
                then collapses; there only to show that.
        """
        opt = cls(
            space,
            lam=lam,
            seed=seed,
            alpha=alpha,
            delta_init=delta_init,
            delta_max=math.inf,
            early=False,
            sampling="independent",
            rules="paper",
        )
        if mirrored:
            opt._draws.sampling = "mirrored"
        return opt

    @property
    def generation(self) -> int:
        """How many times `tell` has been called."""
        return self._draws.generation

    @property
    def best(self) -> Architecture:
        """The most likely architecture: the mode of each choice, the mean of each range."""
        return self.space.decode(self._product.mode(self._state.theta))  # type: ignore[arg-type]

    @property
    def theta(self) -> ThetaView:
        """Parameters by name: probabilities, or (mean, std) in raw coordinates (log where set)."""
        return ThetaView(self._product, self._state.theta)

    @property
    def entropy(self) -> float:
        """How undecided the search is, from 1 (at the start) to 0: a mean over the variables."""
        return self._product.entropy(self._state.theta)

    @property
    def delta(self) -> float:
        """Length of the next step in the Fisher metric, delta_init / Delta."""
        return self._settings.delta_init / self._state.Delta

    @property
    def gamma(self) -> float:
        """The squared length that accumulated gradients without signal would have, in [0, 1]."""
        return self._state.gamma

    @property
    def n_theta(self) -> int:
        """Degrees of freedom: choices less one, and two for each ordered variable."""
        return self._product.n_theta

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Draw candidates from the current distribution.

        Args:
            n: How many, at least 1. Default lam. They need not be told.

        Raises:
            InputError: n is no integer >= 1.
        """
        theta = self._state.theta
        return self._draws.ask(self.lam if n is None else n, lambda u: self._product.sample(theta, u))

    def tell(self, candidates: Sequence[Candidate], losses: Sequence[float]) -> None:
        """Learn from the losses of candidates.

        Args:
            candidates: Two or more, drawn since the last `tell` or made by `space.candidate`.
            losses: One for each, lower is better. NaN and infinities rank worst.

        Raises:
            InputError: Their numbers differ or are below 2, a loss is no number, or a candidate is of another
                space or was drawn before the last `tell`. The optimiser stays as it was.
        """
        told = self._draws.read(candidates, losses)
        self._state = step(self._product, self._settings, self._state, told.x, told.losses, told.active)
        self._draws.generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, as plain values that JSON can hold."""
        state = self._state
        saved = pack("ASNG", self._draws, self._fixed()) | {
            "theta": pack_theta(state.theta),
            "s": state.s.tolist(),
            "gamma": state.gamma,
            "Delta": state.Delta,
            "updates": state.updates,
        }
        if state.memory is not None:
            saved["memory"] = asdict(state.memory) | {"effects": state.memory.effects.tolist()}
        if state.gammas is not None:
            saved["gammas"] = state.gammas.tolist()
        if state.former is not None:
            saved["former"] = pack_former(state.former)
        return saved

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits.

        Raises:
            RunError: It does not fit this space and these arguments, or is damaged. The optimiser stays as
                it was.
        """
        generation, generator = unpack(state, "ASNG", self._draws, self._fixed())
        loaded = State(
            theta=unpack_theta(state, self._product),
            s=array(state, "s", len(self._state.s)),
            gamma=number(state, "gamma", 0.0),
            Delta=number(state, "Delta", 0.0),
            updates=whole(state, "updates"),
            memory=self._unpack_memory(state),
            gammas=None if self._state.gammas is None else array(state, "gammas", len(self._state.gammas)),
            former=self._unpack_former(state),
        )
        if loaded.Delta == 0.0:
            raise RunError("state['Delta']: expected a number > 0, got 0.")
        self._state = loaded
        self._draws.generation, self._draws.rng = generation, generator

    def _unpack_former(self, state: Mapping[str, Any]) -> Former | None:
        if not self._settings.reuse or whole(state, "updates") == 0:
            return None
        return unpack_former(get(state, "former"), self._product)

    def _unpack_memory(self, state: Mapping[str, Any]) -> Memory | None:
        if self._state.memory is None:
            return None
        saved = get(state, "memory")
        return Memory(
            effects=array(saved, "effects", len(self._state.memory.effects)),
            agreed=number(saved, "agreed", -math.inf),
            squared=number(saved, "squared", 0.0),
        )

    def _fixed(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "lam": self.lam,
            "alpha": settings.alpha,
            "delta_init": settings.delta_init,
            "Delta_max": settings.Delta_max,
            "delta_max": settings.delta_max,
            "early": settings.early,
            "settled": self._settled,
            "sampling": self._draws.sampling,
            "reuse": settings.reuse,
            "memory": settings.memory,
            "cautious": settings.cautious,
            "rules": self._rules,
        }
