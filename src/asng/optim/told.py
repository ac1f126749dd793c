"""The draws of an optimiser and the losses it is told: checks, and a record of draws."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from asng.distributions import Floats, Product, Theta
from asng.errors import InputError, RunError
from asng.optim.draws import Numbers
from asng.optim.reuse import read_by
from asng.optim.saving import array, get, whole
from asng.space import Candidate, Space

__all__ = [
    "Batch",
    "Draws",
    "Losses",
    "Origin",
    "Told",
    "arrays_of",
    "checked_batch",
    "joined",
    "none_if_not_finite",
    "shape_told",
    "when_drawn",
]

Losses: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | float
"""A loss for each candidate; a list of numbers for each if there are several objectives; or one loss."""

LogDensity: TypeAlias = Callable[[Theta, Floats, Floats | None], Floats]
"""A function of (theta, raw draws, which variables each read) that returns log densities."""


class Told(NamedTuple):
    """Checked candidates and losses, as arrays.

    Attributes:
        x: Raw draws, shape (n, D).
        losses: Losses, shape (n,), or (n, k) with several objectives; may hold NaN and infinities.
        active: Weight of sample i for variable d, shape (n, D): 0 if its evaluation did not read d, else 1,
            or the weight of a sample that is told late. None if all are 1.
    """

    x: Floats
    losses: Floats
    active: Floats | None


class Origin(NamedTuple):
    """The origin of a candidate, shared by all candidates of one `ask`.

    Attributes:
        theta: The parameters that it was drawn from.
        seed: The seed of the optimiser, by which it recognises its own candidates.
        alone: Whether it was drawn alone.
    """

    theta: Theta
    seed: int
    alone: bool


class Batch(NamedTuple):
    """The content of one `tell`, or of several.

    Attributes:
        x: Raw draws, shape (n, D).
        losses: Losses, shape (n,), or (n, k) with several objectives.
        active: 1 if a sample read a variable, shape (n, D); None if all read all.
        then: Log density that each was drawn with, over the variables that it read, shape (n,); NaN for a
            sample that is not late. None if none is late.
        numbers: Numbers of the optimiser's own draws, as ranges (first, after the last).
    """

    x: Floats
    losses: Floats
    active: Floats | None
    then: Floats | None
    numbers: Sequence[tuple[int, int]] = ()


class Draws:
    """The record of an optimiser's draws.

    Args:
        seed: The seed of the optimiser.
        n_free: Number of variables that are not constant.

    Attributes:
        seed: As given.
        drawn: Number of draws so far.
        told: Numbers of the draws that were told.
        waiting: Candidates that were told singly, and wait for an update.
        rest: Unused uniform numbers of the strata from which single draws are taken, shape (k, n_free).
        x: The last draws, shape (n, D).
        rows: The same as a tuple of rows.
    """

    def __init__(self, seed: int, n_free: int) -> None:
        self.seed, self.drawn, self.told = seed, 0, Numbers()
        self.waiting: Batch | None = None
        self.rest: Floats = np.empty((0, n_free))
        self.x: Floats = np.empty((0, 0))
        self.rows: tuple[Any, ...] = ()

    def drawn_now(self, x: Floats) -> tuple[int, tuple[Any, ...]]:
        """Record draws; return the number of the first, and the draws one by one.

        A row of the array serves as a candidate's sequence of floats, without a copy.
        """
        first = self.drawn
        self.x, self.rows, self.drawn = x, tuple(x), first + len(x)
        return first, self.rows

    def note_told(self, batch: Batch) -> None:
        """Record that draws were told."""
        for first, after in batch.numbers:
            self.told.add(first, after)

    def pack(self) -> dict[str, Any]:
        """Return what must be saved, as plain values for JSON."""
        waiting = self.waiting
        return {
            "seed": self.seed,
            "drawn": self.drawn,
            "told": [list(stretch) for stretch in self.told.stretches],
            "rest": self.rest.tolist(),
            "waiting": None
            if waiting is None
            else {
                "x": waiting.x.tolist(),
                "losses": none_if_not_finite(waiting.losses),
                "active": None if waiting.active is None else waiting.active.tolist(),
                "then": None if waiting.then is None else none_if_not_finite(waiting.then),
            },
        }

    @classmethod
    def unpack(cls, state: Mapping[str, Any], product: Product, each: int = 1) -> "Draws":
        """Return the record of a saved state, in which `each` numbers are told of a candidate.

        Raises:
            RunError: A value is missing, has another shape, or is not a number.
        """
        saved = get(state, "draws")
        draws = cls(whole(saved, "seed"), product.n_free)
        draws.drawn = whole(saved, "drawn")
        told, rest, waiting = (get(saved, name) for name in ("told", "rest", "waiting"))
        if not isinstance(told, list) or not isinstance(rest, list):
            raise RunError(f"state['draws']: expected lists of numbers, got {told!r:.80} and {rest!r:.80}.")
        stretches = array(saved, "told", len(told), 2).astype(int).tolist() if told else []
        flat = [end for stretch in stretches for end in stretch]
        if flat != sorted(set(flat)) or not all(0 <= end <= draws.drawn for end in flat):
            raise RunError(f"state['draws']['told']: expected rising numbers, got {told!r:.80}.")
        draws.told = Numbers((first, after) for first, after in stretches)
        if rest:
            draws.rest = array(saved, "rest", len(rest), product.n_free)
            if not ((draws.rest >= 0.0) & (draws.rest < 1.0)).all():
                raise RunError("state['draws']['rest']: expected numbers in [0, 1), got others.")
        draws.waiting = None if waiting is None else _unpacked(waiting, product, each)
        return draws


def _unpacked(saved: Any, product: Product, each: int) -> Batch:
    losses, active, then = get(saved, "losses"), get(saved, "active"), get(saved, "then")
    if not isinstance(losses, list) or not losses:
        raise RunError(f"state['draws']['waiting']: expected a list of losses, got {losses!r:.80}.")
    n, size = len(losses), len(product.space)
    x = array(saved, "x", n, size)
    if not product.is_fit(x):
        raise RunError("state['draws']['waiting']: expected indices of choices for categoricals, got others.")
    if then is not None:
        then = array(saved, "then", n, missing=True)
        then = np.where(np.isinf(then), np.nan, then)
    active = None if active is None else array(saved, "active", n, size)
    return Batch(x, array(saved, "losses", *shape_told(n, each), missing=True), active, then)


def shape_told(n: int, each: int) -> tuple[int, ...]:
    """Return the shape of what is told of n candidates, with `each` numbers for each."""
    return (n,) if each == 1 else (n, each)


def none_if_not_finite(values: Floats) -> list[Any]:
    """Return values as lists, for JSON, with None for those that are not finite."""
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    return list(cells.tolist())


def joined(waiting: Batch | None, batch: Batch) -> Batch:
    """Return the waiting batch and a new one as a single batch."""
    if waiting is None:
        return batch
    both, active, then = (waiting, batch), None, None
    if any(part.active is not None for part in both):
        active = np.concatenate([np.ones_like(p.x) if p.active is None else p.active for p in both])
    if any(part.then is not None for part in both):
        parts = [np.full(len(p.losses), np.nan) if p.then is None else p.then for p in both]
        then = np.concatenate(parts)
    x, losses = (np.concatenate([part[i] for part in both]) for i in (0, 1))
    return Batch(x, losses, active, then)


def checked_batch(
    product: Product,
    draws: Draws,
    theta: Theta,
    candidates: Sequence[Candidate] | Candidate,
    losses: Losses,
    log_density: LogDensity,
    each: int = 1,
) -> Batch:
    """Check the arguments of `tell`, and return them as arrays.

    Args:
        product: Family of distributions.
        draws: The record of the optimiser's draws.
        theta: The present parameters.
        candidates: As given to `tell`.
        losses: As given to `tell`.
        log_density: The optimiser's log density.
        each: How many numbers are told of each candidate; if it is 1, they are not in lists.

    Raises:
        InputError: As described at `Optimizer.tell`.
    """
    if isinstance(candidates, Candidate):
        given, values = [candidates], _losses([losses], 1, each)
    else:
        given = list(candidates)
        _check_number(given)
        values = _losses(losses, len(given), each)
    # The array of the last ask is read-only, so it needs no check and no copy.
    space = product.space
    fresh = len(given) == len(draws.rows) and all(
        type(c) is Candidate and c.x is row and c.space is space and _is_of(c, theta, draws.seed)
        for c, row in zip(given, draws.rows, strict=True)
    )
    x = draws.x if fresh else _coordinates(product, given)
    active = _active(product, given)
    numbers = _numbers(given, draws)
    return Batch(
        x, values, active, None if fresh else when_drawn(given, x, active, theta, log_density), numbers
    )


def arrays_of(product: Product, candidates: Sequence[Candidate]) -> tuple[Floats, Floats | None]:
    """Return raw draws, shape (n, D), and 1 for each variable that a draw read; None if all read all.

    Raises:
        InputError: A candidate is of another space.
    """
    given = list(candidates)
    return _coordinates(product, given), _active(product, given)


def _is_of(candidate: Candidate, theta: Theta, seed: int) -> bool:
    origin = candidate.origin
    return isinstance(origin, Origin) and origin.theta is theta and origin.seed == seed


def _check_number(given: list[Candidate]) -> None:
    if not given:
        raise InputError("candidates: expected at least 1, got none. Tell what ask() returned.")
    origin = getattr(given[0], "origin", None)
    if len(given) == 1 and isinstance(origin, Origin) and not origin.alone:
        raise InputError(
            "candidates: expected at least 2 of those that were drawn together, because only their order "
            "counts, got 1. Tell several at once; or each as it comes back, as tell(candidate, loss)."
        )


def _coordinates(product: Product, candidates: list[Candidate]) -> Floats:
    for i, candidate in enumerate(candidates):
        _check(i, candidate, product.space)
    x = np.array([candidate.x for candidate in candidates], dtype=np.float64)
    if not product.is_fit(x):
        raise InputError(
            "candidates: expected finite coordinates, and indices of choices for categoricals, got "
            f"{x.tolist()!r}. Make candidates by ask() or space.candidate()."
        )
    return x


def _numbers(candidates: list[Candidate], draws: Draws) -> list[tuple[int, int]]:
    """Return the numbers of the optimiser's own draws as ranges; draws of others are not checked."""
    numbers = [
        (c.number, i)
        for i, c in enumerate(candidates)
        if c.number is not None and isinstance(c.origin, Origin) and c.origin.seed == draws.seed
    ]
    stretches: list[tuple[int, int]] = []
    for number, i in sorted(numbers):
        if number in draws.told or (stretches and number < stretches[-1][1]):
            raise InputError(
                f"candidates[{i}]: expected a draw that was not told before, got draw {number}, which was. "
                "Tell each once; ask again for others."
            )
        if stretches and stretches[-1][1] == number:
            stretches[-1] = stretches[-1][0], number + 1
        else:
            stretches.append((number, number + 1))
    return stretches


def when_drawn(
    candidates: list[Candidate], x: Floats, active: Floats | None, theta: Theta, log_density: LogDensity
) -> Floats | None:
    """Return the log densities that late candidates were drawn with, NaN for the others; None if none is."""
    late: dict[int, tuple[Theta, list[int]]] = {}
    for i, candidate in enumerate(candidates):
        origin = candidate.origin
        if isinstance(origin, Origin) and origin.theta is not theta:
            late.setdefault(id(origin.theta), (origin.theta, []))[1].append(i)
    then = np.full(len(candidates), np.nan)
    for former, rows in late.values():
        if not all(map(np.array_equal, former, theta)):  # a loaded theta may be equal
            read = None if active is None else read_by(active[rows])
            then[rows] = log_density(former, x[rows], read)
    return None if np.isnan(then).all() else then


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


def _active(product: Product, candidates: list[Candidate]) -> Floats | None:
    decided = bool(product.space.deciding)
    if not decided and all(candidate.active is None for candidate in candidates):
        return None
    active = np.array([_row(product.rank, candidate, decided=decided) for candidate in candidates])
    # Constants count as read: there is nothing to learn about them.
    return None if active[:, product.free].all() else active


def _row(rank: Mapping[str, int], candidate: Candidate, *, decided: bool) -> list[float]:
    if candidate.active is not None:
        names = frozenset(candidate.active)
    elif decided:
        names = frozenset(candidate.architecture)  # absent variables cannot have been read
    else:
        return [1.0] * len(rank)
    if not names <= rank.keys():
        name = next(name for name in names if name not in rank)
        raise InputError(f"active: expected names of variables, got {name!r}, which is not in the space.")
    return [1.0 if name in names else 0.0 for name in rank]


def _losses(losses: object, n: int, each: int) -> Floats:
    try:
        values = np.asarray(losses)
    except (RuntimeError, TypeError, ValueError):  # lists of different lengths, tensors that need gradients
        values = np.empty((0, 0, 0))
    shape = shape_told(n, each)
    if values.ndim != len(shape) or values.dtype.kind not in "biuf":
        expected = f"a flat sequence of {n} numbers" if each == 1 else f"{n} lists of {each} numbers"
        raise InputError(
            f"losses: expected {expected}, one per candidate, got {losses!r:.200}. "
            "Convert each to float; for a failed evaluation tell float('inf')."
        )
    if values.shape != shape:
        expected = f"{n} numbers" if each == 1 else f"{n} lists of {each} numbers"
        got = len(values) if each == 1 else f"an array of shape {values.shape}"
        raise InputError(f"losses: expected {expected}, one per candidate, got {got}.")
    return values.astype(np.float64)
