"""Measure the costs of architectures, each child once."""

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from statistics import median
from typing import Any, TypeVar

import torch

from asng.costs.activations import activation_memory
from asng.costs.extremes import nearest, whole
from asng.costs.measures import Measure, is_timed, needs_numbers
from asng.costs.places import Place, meta_copy, moved
from asng.costs.terms import Budget, Cost, excess, in_numbers, limit_of, measures_of, penalty
from asng.costs.timing import latency
from asng.distributed import Comm, LocalComm
from asng.errors import InputError
from asng.nn import Inputs, Supernet
from asng.runs.events import CostLimit
from asng.space import Architecture, Value
from asng.training.faults import OutOfMemory
from asng.training.objective import as_number, qualified_name

__all__ = ["CostMeter", "Costs"]

_T = TypeVar("_T")

AGAIN = 2
"""Further timings, each of a newly extracted child, if the first is near a limit."""
NEAR = 0.1
"""A timing within this share of a limit counts as near it."""


@dataclass(frozen=True)
class Costs:
    """The costs of one architecture.

    Attributes:
        values: Cost by name of measure.
        active: The variables that a pass on the example read, or None if nothing was measured.
        penalty: What the penalties add to a minimised objective.
        excess: How far it is over the budgets; 0 if within them.
    """

    values: Mapping[str, float]
    active: frozenset[str] | None
    penalty: float = 0.0
    excess: float = 0.0


class CostMeter:
    """Extracts the child of an architecture and measures it, once for all architectures with that child.

    Two architectures have the same child if they agree in all variables that a pass on the example reads.
    Costs that need no numbers are counted on the meta device, where nothing is computed and no weight is
    copied, or on the supernet's own device if a module cannot run there. Random generators keep their state.

    Timings vary. A latency near the limit of a budget is therefore measured three times, each time on a newly
    extracted child, and the largest counts.

    Without terms it measures nothing.

    Args:
        supernet: The supernet whose children are measured.
        terms: The budgets and penalties, which name the measures.
        example: Returns the inputs: a tuple, or `Inputs`; called once, at the first measurement.
        comm: The processes over which measurements are distributed. All get every result, so that a latency
            is the same everywhere. Default: this process alone.
        memory: Counts the architectures that do not fit into memory while they are measured; their cost is
            infinite. Default: a count of its own.
        device: Where children run if they are measured with numbers. Default: where the supernet is.
    """

    def __init__(
        self,
        supernet: Supernet,
        terms: Iterable[Cost],
        example: Callable[[], tuple[Any, ...]],
        comm: Comm | None = None,
        memory: OutOfMemory | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._comm = LocalComm() if comm is None else comm
        self._memory = OutOfMemory() if memory is None else memory
        self._given = tuple(terms)
        self._supernet, self._device = supernet, device
        self._measures = measures_of(self._given)
        self._example = example
        self._known: dict[str, dict[str, float]] = {}  # digest of the values read -> cost by name
        self._reads: dict[str, frozenset[str]] = {}  # digest of the architecture -> names it reads
        self._sets: dict[frozenset[str], frozenset[str]] = {}  # one object for each set of names
        self._sizes: dict[str, float] = {}  # digest of the architecture -> multiply-adds
        self._whole: dict[str, float] = {}  # costs of the whole network, for measures with a share
        self._terms: tuple[Cost, ...] | None = None
        self.also: Sequence[Inputs] = ()

    @property
    def terms(self) -> tuple[Cost, ...]:
        """The terms with shares resolved to numbers; if there are shares, this measures the whole network."""
        if self._terms is None:
            shared = {cost.name for cost in self._given if cost.share is not None}
            missing = {n: m for n, m in self._measures.items() if n in shared and n not in self._whole}
            if missing:
                self._whole |= self._of_whole(missing)
            self._terms = in_numbers(self._given, self._whole)
        return self._terms

    def limits(self) -> tuple[CostLimit, ...]:
        """Return the limits and targets in numbers, with the shares that they come from."""
        return tuple(
            CostLimit(
                measure=given.name,
                kind="budget" if isinstance(given, Budget) else "penalty",
                limit=limit_of(term),
                share=given.share,
                whole=None if given.share is None else self._whole[given.name],
            )
            for given, term in zip(self._given, self.terms, strict=True)
        )

    def _of_whole(self, measures: Mapping[str, Measure]) -> dict[str, float]:
        """Return the costs of the whole network; for timed measures, the median of three."""
        largest = whole(self._supernet, lambda many: [size for size, _ in self.sizes(many)])

        def work(_: int) -> dict[str, float]:
            values = self._checked(largest, self._measured(largest, measures)) or {}
            timed = {name: measure for name, measure in measures.items() if is_timed(measure)}
            for name, measure in timed.items():
                again = [self._on_device.measured(largest, {name: measure})[name] for _ in range(AGAIN)]
                values[name] = median([values[name], *again])
            return values

        missed = OutOfMemory()
        with missed.noted():
            return self._comm.deal(1, work, lambda values: values)[0]
        raise InputError(
            f"cost: expected the whole network, {dict(largest)!r:.200}, to fit into memory, because share= "
            f"is relative to its {next(iter(measures))}; it does not. Give limit= instead of share=."
        )

    def of(self, architecture: Architecture) -> Costs:
        """Return the costs of an architecture.

        Raises:
            InputError: A measure did not return a finite number.
        """
        return self.of_all([architecture])[0]

    def of_all(self, architectures: Sequence[Architecture]) -> list[Costs]:
        """Return the costs of each architecture.

        Raises:
            InputError: A measure did not return a finite number.
        """
        if not self.terms:
            return [Costs({}, None)] * len(architectures)
        actives, keys = self._actives(architectures), self._keys(architectures)
        self._measure(dict(zip(keys, architectures, strict=True)))
        return [self._costs(active, self._known[key]) for active, key in zip(actives, keys, strict=True)]

    def _costs(self, active: frozenset[str], known: Mapping[str, float]) -> Costs:
        values = {name: known[name] for name in self._measures}
        return Costs(values, active, penalty(self.terms, values), excess(self.terms, values))

    def reads(self, architectures: Sequence[Architecture]) -> list[frozenset[str]]:
        """Return the names of the variables that a pass under each architecture reads."""
        return self._actives(architectures)

    def sizes(self, architectures: Sequence[Architecture]) -> list[tuple[float, frozenset[str]]]:
        """Return the multiply-adds of architectures and the variables that they read, also without terms.

        Nothing is extracted: the supernet runs on the example, on the meta device if possible. An
        architecture that does not fit into memory has a size of -inf, and counts as reading all variables.
        """
        keys = [_digest(architecture) for architecture in architectures]
        unknown = {k: a for k, a in zip(keys, architectures, strict=True) if k not in self._sizes}
        if unknown:
            todo = list(unknown.values())
            found = self._comm.deal(
                len(todo),
                lambda i: self._size(todo[i]),
                lambda size: (size[0], sorted(size[1])),
            )
            for key, (size, names) in zip(unknown, found, strict=True):
                self._sizes[key] = size
                self._reads[key] = self._sets.setdefault(frozenset(names), frozenset(names))
        return [(self._sizes[key], self._reads[key]) for key in keys]

    def _size(self, architecture: Architecture) -> tuple[float, frozenset[str]]:
        with OutOfMemory().noted():
            return self._somewhere(lambda place: place.size(architecture))
        return -math.inf, frozenset(architecture)

    @property
    def has_budget(self) -> bool:
        """Whether a term is a hard budget."""
        return any(isinstance(term, Budget) for term in self._given)

    def check_budgets(self) -> None:
        """Check before a search that some architecture is within the budgets, trying the smallest first.

        Raises:
            InputError: None is found, or a measure did not return a finite number.
        """
        if not self.has_budget:
            return
        seen: list[Costs] = []

        def over(architecture: Architecture) -> float:
            seen.append(self.of(architecture))
            return seen[-1].excess

        best = self.of(nearest(self._supernet, over))
        if best.excess > 0.0:
            raise _nothing_within(self.limits(), best, seen)

    def confirm(self, architecture: Architecture) -> bool:
        """Repeat the timings that have a budget, and return whether the architecture is within the budgets.

        The largest timing then counts as its cost.
        """
        within = self.of(architecture).excess <= 0.0
        held = {term.name for term in self.terms if isinstance(term, Budget)}
        timed = {n: m for n, m in self._measures.items() if n in held and is_timed(m)}
        if not within or not timed:
            return within
        [key] = self._keys([architecture])
        [values] = self._comm.deal(
            1,
            lambda _: self._guarded(architecture, timed),
            lambda values: self._checked(architecture, values),
        )
        known = self._known[key]
        values = values or dict.fromkeys(timed, math.inf)
        known.update({name: max(known[name], value) for name, value in values.items()})
        return self.of(architecture).excess <= 0.0

    def prepare(self, *, sizes: bool = False) -> None:
        """Get the example now, before anything else reads the data.

        Args:
            sizes: Whether `sizes` will be called, which needs the example even without terms.
        """
        if self._given or sizes:
            _ = self._on_device, self.terms

    def runs(self, architecture: Architecture) -> bool:
        """Return whether a pass under the architecture runs where the supernet is."""
        try:
            self._on_device.reads(architecture)
        except Exception:  # whatever a module raises, for one because weights have no numbers
            return False
        return True

    def attempt(self, architecture: Architecture) -> None:
        """Measure an architecture except for its latency and discard the result, to reveal failing measures.

        Raises:
            InputError: A measure did not return a finite number.
        """
        measures = {name: measure for name, measure in self._measures.items() if measure is not latency}
        if measures:
            self._checked(architecture, self._measured(architecture, measures))

    def state_dict(self) -> dict[str, Any]:
        """Return all costs measured so far, because a latency measured again would differ."""
        return {"known": json.dumps(self._known), "whole": json.dumps(self._whole)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the costs from a checkpoint."""
        self._known = json.loads(state["known"])
        self._whole, self._terms = json.loads(state["whole"]), None

    def _actives(self, architectures: Sequence[Architecture]) -> list[frozenset[str]]:
        """Return the variables that a pass under each architecture reads."""
        keys = [_digest(architecture) for architecture in architectures]
        unknown = {k: a for k, a in zip(keys, architectures, strict=True) if k not in self._reads}
        if unknown:
            todo = list(unknown.values())
            reads = self._comm.deal(len(todo), lambda i: self._read(todo[i]), sorted)
            for key, names in zip(unknown, reads, strict=True):
                self._reads[key] = self._sets.setdefault(frozenset(names), frozenset(names))
        return [self._reads[key] for key in keys]

    def _read(self, architecture: Architecture) -> frozenset[str]:
        """Return the variables that a pass reads; all of them if it does not fit into memory."""
        with OutOfMemory().noted():
            return self._somewhere(lambda place: place.reads(architecture))
        return frozenset(architecture)

    def _keys(self, architectures: Sequence[Architecture]) -> list[str]:
        """Return digests of the values that a pass under each architecture reads: one for each child."""
        actives = self._actives(architectures)
        return [
            _digest({name: architecture[name] for name in active})
            for architecture, active in zip(architectures, actives, strict=True)
        ]

    def _measure(self, architectures: Mapping[str, Architecture]) -> None:
        """Measure the costs that are not yet known, of architectures given by their `_keys`."""
        missing = {
            key: {n: measure for n, measure in self._measures.items() if n not in self._known.get(key, {})}
            for key in architectures
        }
        todo = [key for key in architectures if missing[key]]
        if todo:
            found = self._comm.deal(
                len(todo),
                lambda i: (architectures[todo[i]], self._guarded(architectures[todo[i]], missing[todo[i]])),
                lambda measured: self._checked(*measured),
            )
            for key, values in zip(todo, found, strict=True):
                # None: it does not fit into memory, so it costs more than any that does.
                self._known.setdefault(key, {}).update(values or dict.fromkeys(missing[key], math.inf))
                if values is None:
                    self._memory.count += 1
                    self._memory.of(architectures[key])

    def _guarded(self, architecture: Architecture, measures: Mapping[str, Measure]) -> dict[str, Any] | None:
        """Return the values of the measures, or None if the architecture does not fit into memory."""
        with OutOfMemory().noted():
            return self._carefully(architecture, measures)
        return None

    def _carefully(self, architecture: Architecture, measures: Mapping[str, Measure]) -> dict[str, Any]:
        """Return the values of the measures; for a timing near a limit, the largest of three."""
        values = self._measured(architecture, measures)
        near = {name: measure for name, measure in measures.items() if self._is_near(name, values[name])}
        for _ in range(AGAIN if near else 0):
            for name, value in self._on_device.measured(architecture, near).items():
                values[name] = max(values[name], value)
        return values

    def _is_near(self, name: str, value: Any) -> bool:
        limits = [limit_of(c) for c in self.terms if isinstance(c, Budget) and c.name == name]
        return is_timed(self._measures[name]) and any(abs(value / x - 1.0) <= NEAR for x in limits)

    def _measured(self, architecture: Architecture, measures: Mapping[str, Measure]) -> dict[str, Any]:
        counted = {name: measure for name, measure in measures.items() if not needs_numbers(measure)}
        real = {name: measure for name, measure in measures.items() if needs_numbers(measure)}
        values: dict[str, Any] = {}
        if counted:
            values |= self._somewhere(
                lambda place: place.measured(architecture, counted),
                meta=activation_memory in counted.values(),  # differs between the two
            )
        if real:
            values |= self._on_device.measured(architecture, real)
        return {name: values[name] for name in measures}

    def _checked(
        self, architecture: Architecture, values: Mapping[str, Any] | None
    ) -> dict[str, float] | None:
        if values is None:
            return None
        return {
            name: _finite(name, self._measures[name], value, architecture) for name, value in values.items()
        }

    def _somewhere(self, work: Callable[[Place], _T], *, meta: bool = False) -> _T:
        """Work on the meta device if that is possible and not slower, else on the supernet's own device.

        Args:
            work: The work to do at a place.
            meta: Whether to prefer the meta device even if it is slower.
        """
        if self._on_meta is not None and (meta or not self._numbers_take_less):
            try:
                return work(self._on_meta)
            except Exception:  # whatever a module raises without numbers; a real error will recur
                pass
        return work(self._on_device)

    @cached_property
    def _numbers_take_less(self) -> bool:
        """Whether a pass is faster with numbers: with few items, torch's bookkeeping dominates."""
        architecture = self._supernet.space.sample(random.Random(0))

        def seconds(place: Place) -> float:
            start = time.perf_counter()
            place.reads(architecture)
            return time.perf_counter() - start

        with suppress(Exception), OutOfMemory().noted():  # an error recurs in the real work
            on_meta, on_device = ([seconds(place) for _ in range(2)][1] for place in self._places)
            return on_device < on_meta
        return False

    @property
    def _places(self) -> list[Place]:
        return [self._on_device] if self._on_meta is None else [self._on_meta, self._on_device]

    @cached_property
    def _on_device(self) -> Place:
        device = next(self._supernet.parameters()).device
        also = tuple(moved(call, device) for call in self.also)
        return Place(self._supernet, moved(self._example(), device), device, also, self._device)

    @cached_property
    def _on_meta(self) -> Place | None:
        meta = torch.device("meta")
        try:
            here = self._on_device
            also = tuple(moved(call, meta) for call in here.also)
            return Place(meta_copy(self._supernet), moved(here.inputs, meta), meta, also)
        except Exception:  # an attribute that cannot be copied, an input that cannot be moved
            return None


def _nothing_within(limits: Sequence[CostLimit], best: Costs, seen: Sequence[Costs]) -> InputError:
    budgets = [limit for limit in limits if limit.kind == "budget"]
    names = list(dict.fromkeys(budget.measure for budget in budgets))
    least = ", ".join(f"{name} {min(costs.values[name] for costs in seen):g}" for name in names)
    words = f"The least found is {least}"
    if len(names) > 1:
        together = ", ".join(f"{name} {best.values[name]:g}" for name in names)
        words += f", each on its own; the network closest to the budget has {together}"
    return InputError(
        f"cost: expected a network within the budget ({', '.join(map(str, budgets))}), got none among the "
        f"{len(seen)} that were tried, starting from the smallest. {words}. Raise the limit, or widen the "
        "space towards smaller networks."
    )


def _digest(values: Mapping[str, Value]) -> str:
    # Short, since a long search measures many; 128 bits do not collide in practice.
    text = json.dumps(dict(sorted(values.items())))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _finite(name: str, measure: Measure, value: object, architecture: Architecture) -> float:
    number = as_number(value, f"cost {name!r}", measure)
    if not math.isfinite(number):
        raise InputError(
            f"cost {name!r}: expected a finite number from {qualified_name(measure)}, got {number} for "
            f"{architecture!r}."
        )
    return number
