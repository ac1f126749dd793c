"""Adaptive Stochastic Natural Gradient: ask for candidates, tell their losses."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from asng.checks import check_flags, integer_at_least, one_of, real_between
from asng.distributions import Floats, Product, Theta, start
from asng.errors import InputError, RunError
from asng.optim.ask_tell import Optimizer, Told
from asng.optim.control_variate import ControlVariate
from asng.optim.draws import Sampling
from asng.optim.joint import Joint, begun, drawn, pack_covariance, unpack_covariance, updated
from asng.optim.reuse import pack_former, unpack_former
from asng.optim.saving import array, get, number, whole
from asng.optim.step import Settings, State
from asng.space import Space

__all__ = ["ASNG", "pack_state", "unpack_state"]

FIRST_SPREAD = 0.29
"""Standard deviation of a uniform number, as a share of its range."""


class ASNG(Optimizer):
    """Adaptive Stochastic Natural Gradient: moves a distribution over the space towards lower losses.

    It takes natural gradient steps of adapted length. Only the order of losses counts. It needs no tuning:
    steps grow longer while they agree, and shorter while they contradict each other.

    Differs from the paper in details that matter, as its authors' code shows; `ASNG.paper` uses theirs.
    Samples are stratified, not independent, and there are more of them per update. Every sample has a
    utility. A prediction removes noise from the utilities (`asng.optim.control_variate`), and samples are
    used twice (`asng.optim.reuse`). The probabilities have another margin, and coordinates treat all choices
    alike. The spread of ordered variables takes a geometric step. The step size is bounded, and adapts faster
    at first. The gain from each: docs/optimiser/ablation.md.

    Args:
        space: The search space.
        lam: Samples per update (lambda_theta), at least 2. The default suits a black box. In one-shot
            search, 2 is better, because a sample costs a forward pass and the weights keep changing.
        seed: Seed of the generator, >= 0. The same seed gives the same search, bit for bit.
        alpha: Threshold of the step-size adaptation, > 0.
        delta_init: Initial step size (delta^0_theta), > 0.
        Delta_max: Largest divisor of the step size, >= 1. The step size never falls below
            delta_init / Delta_max.
        delta_max: Longest step (delta_theta), > 0; takes precedence over Delta_max.
        early: Adapt the step size faster during the first updates, so that delta_init hardly matters.
        settled: The probability that all variables draw their mode once the search has converged, in
            (0, 0.999]. The rest is the margin of the probabilities: lower values recover sooner from wrongly
            rejected choices.
        prior: Where to begin, for some or all variables: `theta` of an earlier search of the same or a
            similar problem, `theta` from a run's log, or your own guess. Default: uniform choices, and the
            middle of each range.
        trust: Weight of the prior in the initial theta, in [0, 1]; the rest is the usual start.
        sampling: "stratified" or "independent"; "mirrored" with the paper's rules only.
        reuse: Use the samples of the last update again, with importance weights (`asng.optim.reuse`), which
            saves about a sixth of the evaluations. Their losses must be comparable with new ones; switch it
            off if losses drift, as in one-shot search. Default: as `control_variate`.
        control_variate: Predict losses from earlier samples and learn from the prediction errors. Saves about
            a fifth to a third of the evaluations, or none if only the first wrong variable counts:
            docs/optimiser/ablation.md. Default: with more than two samples per update.
        covariance: Move reals by a covariance with its own rates (`asng.optim.covariance`); at the single
            rate of choices their spread vanishes before they reach the optimum. Default: as
            `control_variate`.
        spread: Initial standard deviation of ordered variables as a share of the range, in (0, 0.5]. Default:
            0.29 with a control variate, that of a uniform number; else 0.5, as in the paper.
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

    _state: State

    def __init__(
        self,
        space: Space,
        *,
        lam: int = 8,
        seed: int = 0,
        alpha: float = 1.5,
        delta_init: float = 1.0,
        Delta_max: float = math.inf,
        delta_max: float = 2.0,
        early: bool = True,
        settled: float = 0.37,
        prior: Mapping[str, Any] | None = None,
        trust: float = 0.5,
        sampling: Sampling = "stratified",
        reuse: bool | None = None,
        control_variate: bool | None = None,
        covariance: bool | None = None,
        spread: float | None = None,
        rules: Literal["default", "paper"] = "default",
    ) -> None:
        one_of("rules", rules, ["default", "paper"])
        flags = {"reuse": reuse, "control_variate": control_variate, "covariance": covariance}
        check_flags(early=early, **{name: flag for name, flag in flags.items() if flag is not None})
        if rules == "paper" and (reuse or control_variate or covariance):
            raise InputError(
                "reuse, control_variate, covariance: expected none of them with rules='paper', got "
                f"reuse={reuse}, control_variate={control_variate}, covariance={covariance}. Leave them out."
            )
        settled = real_between("settled", settled, 0.0, 0.999, open_low=True)
        if control_variate is None:
            control_variate = integer_at_least("lam", lam, 2) > 2 and rules == "default"
        covariance = control_variate if covariance is None else covariance
        if spread is None:
            spread = FIRST_SPREAD if control_variate else 0.5
        spread = real_between("spread", spread, 0.0, 0.5, open_low=True)
        product = Product(space, rules=rules, settled=settled, spread=spread)
        super().__init__(product, lam=lam, seed=seed, sampling=sampling)
        self._settings = Settings(
            alpha=real_between("alpha", alpha, 0.0, 1e6, open_low=True),
            delta_init=real_between("delta_init", delta_init, 0.0, 1e6, open_low=True),
            Delta_max=real_between("Delta_max", Delta_max, 1.0, math.inf),
            delta_max=real_between("delta_max", delta_max, 0.0, math.inf, open_low=True),
            early=early,
            reuse=control_variate if reuse is None else reuse,
            control_variate=control_variate,
            scores=rules == "default",
        )
        self._fixed |= {
            "settled": settled,
            **asdict(self._settings),
            "covariance": covariance,
            "spread": spread,
        }
        trust, theta = real_between("trust", trust, 0.0, 1.0), product.initial()
        if prior is not None:
            theta = start(product, prior, trust)
        self._joint: Joint | None = None
        if covariance and len(product.of_reals):
            discrete = Product(space, settled=settled, spread=spread, reals=False)
            self._joint = Joint(product, discrete)
        self._state = begun(product, self._joint, self._settings, theta)

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
        """Return the optimiser with the settings and details of the paper's authors.

        Given the same samples it follows their code, without its faults: it handles tied losses, small
        spaces, large or zero means and a small delta_init.

        Args:
            space: The search space.
            lam: Samples per update, at least 2.
            seed: Seed of the generator, >= 0.
            alpha: Threshold of the step-size adaptation, > 0.
            delta_init: Initial step size, > 0.
            mirrored: Draw ordered variables in mirrored pairs, as the authors do. This option only serves to
                show that their variance then collapses with lam = 2.
        """
        return cls(
            space,
            lam=lam,
            seed=seed,
            alpha=alpha,
            delta_init=delta_init,
            delta_max=math.inf,
            early=False,
            sampling="mirrored" if mirrored else "independent",
            rules="paper",
        )

    @property
    def delta(self) -> float:
        """Length of the next step in the Fisher metric, delta_init / Delta."""
        return self._settings.delta_init / self._state.Delta

    @property
    def gamma(self) -> float:
        """The squared length that the accumulated gradient would have without a signal, in [0, 1]."""
        return self._state.gamma

    def _draw(self, u: Floats) -> Floats:
        return drawn(self._product, self._joint, self._state, u)

    def _update(self, told: Told) -> State:
        return updated(self._product, self._joint, self._settings, self._state, told)

    def _pack(self) -> dict[str, Any]:
        return pack_state(self._state)

    def _unpack(self, state: Mapping[str, Any], theta: Theta) -> State:
        discrete = self._product if self._joint is None else self._joint.discrete
        return unpack_state(state, theta, self._state, self._settings, self._product, discrete)


def pack_state(state: State) -> dict[str, Any]:
    """Return everything in a state except theta, as plain values."""
    known = state.control_variate
    saved: dict[str, Any] = {
        "s": state.s.tolist(),
        "gamma": state.gamma,
        "Delta": state.Delta,
        "updates": state.updates,
    }
    if known is not None:
        saved["control_variate"] = asdict(known) | {"effects": known.effects.tolist()}
    if state.former is not None:
        saved["former"] = pack_former(state.former)
    if state.reals is not None:
        saved["reals"] = pack_covariance(state.reals)
    return saved


def unpack_state(
    saved: Mapping[str, Any],
    theta: Theta,
    like: State,
    settings: Settings,
    product: Product,
    discrete: Product,
) -> State:
    """Return the state that `pack_state` saved.

    Args:
        saved: The output of `pack_state`.
        theta: Parameters of all variables.
        like: A state of the same search.
        settings: The constants of the search.
        product: The distribution over all variables.
        discrete: The distribution over the variables that the natural gradient moves.

    Raises:
        RunError: A value is missing, has another shape, or is not a number.
    """
    known, former, reals = None, None, like.reals
    if settings.control_variate:
        own = get(saved, "control_variate")
        known = ControlVariate(
            effects=array(own, "effects", discrete.n_root),
            agreed=number(own, "agreed"),
            squared=number(own, "squared", 0.0),
        )
    if settings.reuse and whole(saved, "updates") > 0 and discrete.n_theta:
        former = unpack_former(get(saved, "former"), discrete)
    if reals is not None:
        reals = unpack_covariance(get(saved, "reals"), reals, theta.mean[product.of_reals])
    loaded = State(
        theta=theta,
        s=array(saved, "s", len(like.s)),
        gamma=number(saved, "gamma", 0.0),
        Delta=number(saved, "Delta", 0.0),
        updates=whole(saved, "updates"),
        control_variate=known,
        former=former,
        reals=reals,
    )
    if loaded.Delta == 0.0:
        raise RunError("state['Delta']: expected a number > 0, got 0.")
    return loaded
