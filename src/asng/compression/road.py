"""The road from a trained model to its children, part by part."""

import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.checks import keep_integer, nearest, real_between, torch_seed
from asng.compression.calls import (
    check_loader,
    check_plain,
    check_scored,
    checked_score,
    examples,
    further,
    layers_told,
    unreached_told,
)
from asng.compression.finals import USUAL_RATE, Finals
from asng.compression.frontier import Frontier, Meter, evenly_within, searched, thetas
from asng.compression.goals import Goal
from asng.compression.journal import MAPPINGS, Journal, shared_settings, told_settings
from asng.compression.result import Compressed, CompressedChild, Network
from asng.compression.stored import write_compression
from asng.compression.tuning import STEPS, Tuner, train_shared
from asng.costs import Budget
from asng.costs.measures import MEASURES, measure_of
from asng.costs.terms import limit_of
from asng.errors import InputError
from asng.nn import Importance, Inputs, Supernet, searchable
from asng.nn.conversion import python_of
from asng.nn.extraction.copying import deep_copy
from asng.runs.folder import SHARED_WEIGHTS, refuse_link
from asng.runs.tensors import read_tensors, write_tensors
from asng.search import Loop, OneShotSearch
from asng.search.arguments import check_functions
from asng.space import Architecture
from asng.training import score
from asng.training.data.halves import split_loader
from asng.training.data.nested import CountItems
from asng.training.data.random_state import seeded, staged, undisturbed
from asng.training.distillation import distilled
from asng.training.objective import Loss, Objective
from asng.training.optimizers import MakeOptimizer, MakeScheduler, adamw
from asng.training.progress import progress_bar

__all__ = ["Road"]

SCORED_ITEMS = 1000
"""About how many validation items an architecture is scored on in the search."""
OPTIONS = ("only", "skip", "step", "least", "depth", "order")
"""Options of `asng.nn.searchable`."""
REPORTED = ("parameters", "multiply_adds", "bytes", "latency")
"""Measures that are reported for every network."""
SHARED = 1.5
"""Factor on the number of architectures to score if there are several budgets."""


@dataclass
class Road:
    """The settings of `asng.compress`, and the steps that it takes; see there.

    Attributes:
        goals: What each child may cost.
        options: Options of `asng.nn.searchable`.
        folder: The run folder, or None.
        onnx: Whether to write an ONNX program of each child.
        usual: The defaults of `asng.compress`.
        notes: Remarks on how it was done.
        seconds: How long each part took.
    """

    model: nn.Module
    train: DataLoader[Any]
    valid: DataLoader[Any] | None
    test: DataLoader[Any] | None
    loss: Loss
    goals: list[Goal]
    minimize: Objective | None
    maximize: Objective | None
    example: Any
    train_weights: bool
    teaching: float
    epochs: int
    evaluations: int
    finalists: int
    optimizer: MakeOptimizer | None
    scheduler: MakeScheduler | None
    clip: float | None
    options: dict[str, Any]
    items: CountItems | None
    seed: int
    folder: Path | None
    onnx: bool
    progress: bool
    usual: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _rate: float = USUAL_RATE

    def __post_init__(self) -> None:
        check_plain(self.model)
        self.model = python_of(self.model)
        for name in ("train", "valid", "test"):
            check_loader(name, getattr(self, name), needed=name == "train")
        if isinstance(self.loss, nn.Module) or not callable(self.loss):
            raise InputError(
                f"loss: expected a function of (forward, batch), got {self.loss!r:.80}. If you have a "
                "criterion of (output, target), pass asng.supervised(criterion)."
            )
        if unknown := [name for name in self.options if name not in OPTIONS]:
            raise InputError(
                f"options: expected those of asng.nn.searchable, {', '.join(OPTIONS)}, got {unknown[0]!r}."
                f"{nearest(unknown[0], OPTIONS)}"
            )
        check_functions(self, self.optimizer or adamw)
        if self.clip is not None:
            self.clip = real_between("clip", self.clip, 0.0, math.inf, open_low=True)
        if self.minimize is not None and self.maximize is not None:
            raise InputError("minimize, maximize: expected at most one of them, got both.")
        for name in ("epochs", "evaluations", "finalists"):
            keep_integer(self, name, 1)
        self.seed = torch_seed("seed", self.seed)
        self.teaching = real_between("teaching", self.teaching, 0.0, 1.0)

    # --- the whole road -----------------------------------------------------------------------------

    def walk(self, *, resume: bool, overwrite: bool) -> Compressed:
        """Do the whole compression, or what is left of it."""
        for child in [] if self.folder is None else [self.folder / goal.name for goal in self.goals]:
            refuse_link(child)
        if self.valid is None:
            self.valid, self.train = split_loader(
                self.train, share=0.2, seed=self.seed, names=("train", "valid data")
            )
            self.notes.append(
                "No validation data were given, so scores are measured on data that the model was trained "
                "on. They favour the model and wide children. Pass valid=."
            )
        with seeded(self.seed), self._timed("conversion"):
            scored = self.valid if self._batches == len(self._valid) else None  # else the first ones alone
            given = self.model, self.loss, self.train, self.example
            calls, self.measured = examples(*given, scored=scored, seed=self.seed)
            check_scored(self.model, self.loss, self._objective, valid=self._valid, test=self.test)
            supernet = self._supernet(calls)
            self._further = further(self.model, calls, self.measured[0])
        if note := unreached_told(supernet.conversion):
            self.notes.append(note)
            warnings.warn(note, stacklevel=3)
        teach = self.loss
        if self.teaching > 0.0:
            # A search uses the same batches again and again: those of the few steps and those of scores.
            teach = distilled(self.model, self.loss, self.teaching, remember=STEPS + self._batches)
        settings = shared_settings(self, supernet.space)
        self.journal = Journal(self.folder, settings, resume=resume, overwrite=overwrite)
        try:
            with layers_told(supernet.conversion):
                return self._along(supernet, calls, teach)
        except InputError:
            if not self.journal.begun and not resume:
                self.journal.discard()
            raise
        finally:
            self.journal.close()

    def _along(self, supernet: Supernet, calls: list[Inputs], teach: Loss) -> Compressed:
        tuner = Tuner(
            supernet,
            calls,
            self.train,
            self._valid,
            self._batches,
            loss=teach,
            objective=self._objective,
            scheduler=self.scheduler,
            clip=self.clip,
            items=self.items,
            seed=self.seed,
            progress=self.progress,
        )
        with self._loop(supernet, teach) as loop:
            starts = self._starts(loop, supernet)
            finals = [self._finals(*pair, tuner) for pair in zip(self.goals, starts, strict=True)]
            whole = deep_copy(self.model).eval()
            model = Network(whole, checked_score(self._score(whole), self._objective), self._costs(whole))
            if self.optimizer is not None or not self.train_weights:
                finals[0].check()  # else the search for the rate is as good
            self.journal.begin()
            if self.train_weights:
                with self._timed("shared weights"):
                    if self.optimizer is None:
                        # The lowest of them: at a high rate, the wide networks would forget.
                        self._rate = min(final.rate_for("rate of shared weights") for final in finals)
                    self._train_shared(loop, supernet, starts)
            with self._timed("search"):
                costs = self._meter(loop)
                frontier = self._search(loop, supernet, starts, costs)
                meter = loop.scorer.meter
                tried = [final.tried(frontier, costs, meter.reads) for final in finals]
                chosen = [final.chosen(some, meter) for final, some in zip(finals, tried, strict=True)]
        with self._timed("fine-tuning"):
            children = [self._child(*parts, tuner) for parts in zip(finals, tried, chosen, strict=True)]
        told = unreached_told(supernet.conversion)
        for note in self.notes if self.progress else ():
            if note != told:
                warnings.warn(note, stacklevel=3)
        compressed = Compressed(
            model=model,
            children=tuple(children),
            frontier=frontier,
            conversion=supernet.conversion,
            higher_is_better=self.maximize is not None,
            metric=self._metric,
            seconds=dict(self.seconds),
            notes=tuple(self.notes),
            folder=self.folder,
            example=self.measured,
            settings=told_settings(self),
        )
        return compressed if self.folder is None else write_compression(compressed, onnx=self.onnx)

    # --- its parts ----------------------------------------------------------------------------------

    def _supernet(self, calls: list[Inputs]) -> Supernet:
        """Return the model with its widths as variables, the most important channels first."""
        if "order" in self.options:
            return searchable(self.model, calls, **self.options)
        order = Importance("outputs", self.train, self.loss)
        try:
            return searchable(self.model, calls, order=order, **self.options)
        except InputError as error:
            why = str(error)
        supernet = searchable(self.model, calls, **self.options)  # raises if the order is not to blame
        self.notes.append(f"Channels could not be ranked by importance and keep their original order: {why}")
        return supernet

    @property
    def _objective(self) -> Objective:
        return self.maximize or self.minimize or self.loss

    @property
    def _metric(self) -> str:
        if self.maximize is None and self.minimize is None:
            return "loss"
        return getattr(self._objective, "__name__", type(self._objective).__name__)

    @contextmanager
    def _loop(self, supernet: Supernet, teach: Loss) -> Iterator[Loop]:
        """Set up what trains and scores the shared weights."""
        search = OneShotSearch(
            supernet,
            teach,
            optimizer=self.optimizer or (lambda weights: adamw(weights, learning_rate=self._rate)),
            scheduler=self.scheduler,
            cost=self._budgets,
            example=self.measured[0],
            clip=self.clip,
            final=0.0,
            seed=self.seed,
            items=self.items,
        )
        with search.stepping(self.train, self._valid, epochs=self.epochs) as loop:
            loop.scorer.meter.also = self._further
            yield loop

    @property
    def _budgets(self) -> list[Budget]:
        return list(dict.fromkeys(budget for goal in self.goals for budget in goal.budgets))

    @property
    def _valid(self) -> DataLoader[Any]:
        assert self.valid is not None
        return self.valid

    @property
    def _batches(self) -> int:
        """How many validation batches the search scores on."""
        items = max(1, getattr(self._valid, "batch_size", None) or SCORED_ITEMS)
        return min(len(self._valid), max(1, math.ceil(SCORED_ITEMS / items)))

    def _starts(self, loop: Loop, supernet: Supernet) -> list[Architecture]:
        """Turn the limits of all goals into numbers, and return an even architecture within each goal."""
        meter = loop.scorer.meter
        meter.prepare()
        limits = self.journal.answer("limits", lambda: [limit_of(term) for term in meter.terms], list[float])
        numbers = {b: replace(b, limit=n, share=None) for b, n in zip(self._budgets, limits, strict=True)}
        self.goals = [replace(g, budgets=tuple(numbers[b] for b in g.budgets)) for g in self.goals]

        def work() -> list[Any]:

            def costs(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
                return [found.values for found in meter.of_all(architectures)]

            return [dict(evenly_within(supernet.space, costs, goal)) for goal in self.goals]

        return [Architecture(start) for start in self.journal.answer("starts", work, MAPPINGS)]

    def _train_shared(self, loop: Loop, supernet: Supernet, starts: Sequence[Architecture]) -> None:
        """Train the shared weights on networks around the budgets, or load them if that was done."""
        path = None if self.folder is None else self.folder / SHARED_WEIGHTS
        if path is not None and self.journal.knows("shared weights") and path.exists():
            supernet.load_state_dict(read_tensors(path, "shared weights")["weights"])
            return
        draws, steps = thetas(supernet.space, starts, seed=self.seed + 1), self.epochs * len(self.train)
        loop.trainer.begin(steps)
        train_shared(
            loop.trainer,
            lambda: [candidate.architecture for candidate in draws.ask(2 * len(starts))],
            steps,
            model=self.model,
            loss=self.loss,
            progress=self.progress,
        )
        if path is not None:
            write_tensors(path, {"weights": supernet.state_dict()})
        self.journal.answer("shared weights", lambda: True, bool)

    def _meter(self, loop: Loop) -> Meter:
        """Return a function that measures costs, and takes them from the journal if they are known."""
        turns = count(1)

        def costs(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
            def work() -> list[dict[str, float]]:
                return [dict(found.values) for found in loop.scorer.meter.of_all(architectures)]

            kind = list[dict[str, float | int | None]]
            found: list[Mapping[str, float]] = self.journal.answer(f"costs {next(turns)}", work, kind)
            return found

        return costs

    def _search(
        self, loop: Loop, supernet: Supernet, starts: Sequence[Architecture], costs: Meter
    ) -> Frontier:
        """Search widths by scores on frozen weights."""
        scorer, turns, batches = loop.scorer, count(1), self._batches

        def losses(architectures: Sequence[Architecture]) -> list[float]:
            def work() -> list[float]:
                return [s.value for s in scorer.means(architectures, batches)] if architectures else []

            return self.journal.numbers(f"scores {next(turns)}", work)

        evaluations = self.evaluations if len(self.goals) == 1 else round(SHARED * self.evaluations)
        with progress_bar("search", evaluations, show=self.progress) as bar:
            return searched(
                supernet.space,
                self.goals,
                starts,
                costs=costs,
                score=losses,
                evaluations=evaluations,
                seed=self.seed,
                reads=scorer.meter.reads,
                tick=lambda done: bar.update(min(done, evaluations)),
            )

    def _finals(self, goal: Goal, start: Architecture, tuner: Tuner) -> Finals:
        return Finals(
            goal,
            start,
            tuner,
            self.journal,
            optimizer=self.optimizer,
            evaluations=self.evaluations,
            finalists=self.finalists,
            epochs=self.epochs,
            sign=-1.0 if self.maximize is not None else 1.0,
            folder=self.folder,
        )

    def _child(
        self, finals: Finals, tried: Frontier, finalists: Sequence[Architecture], tuner: Tuner
    ) -> CompressedChild:
        """Return the child for a goal, with its scores and costs."""
        architecture, child = finals.child(finalists)
        untuned = self.journal.number(
            f"before, {finals.goal.name}", lambda: self._score(tuner.untuned(architecture))
        )
        return CompressedChild(
            network=child,
            score=self._score(child),
            costs=self._costs(child),
            goal=finals.goal,
            architecture=architecture,
            before=untuned,
            learning_rate=finals.rate,
            tried=tuple(tried.scored),
        )

    def _score(self, network: nn.Module) -> float:
        """Return the score that is reported for a network."""
        loader = self._valid if self.test is None else self.test
        with staged(self.seed, "scores", loader):
            return score(network, loader, self._objective, items=self.items)

    def _costs(self, network: nn.Module) -> dict[str, float]:
        """Return the costs of a network, by all measures that are reported or limited."""
        limited = {b.name: measure_of(b.measure) for goal in self.goals for b in goal.budgets}
        measures = {name: MEASURES[name] for name in REPORTED if name in MEASURES} | limited
        with undisturbed():  # a latency takes as many passes as the clock allows
            return {name: float(measure(network, self.measured[0])) for name, measure in measures.items()}

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(self.seconds.get(part, 0.0) + time.perf_counter() - start, 2)
