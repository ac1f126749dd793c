"""From a trained model to a budget in one call: convert, search, fine-tune.

1. The model's widths become variables (`asng.nn.searchable`).
2. The shared weights, which are the trained ones, learn to serve narrow networks too, taught by the model.
3. A distribution for each budget moves by scores on these weights (`asng.compression.frontier`).
4. A few of the best for each budget are fine-tuned for a while, and the best of these to the end.
"""

import copy
import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from asng.checks import integer_at_least, real_between
from asng.compression.frontier import Frontier, evenly_within, searched, thetas
from asng.compression.goals import BudgetLike, Goal, goals_of
from asng.compression.journal import Journal
from asng.compression.result import Compressed, CompressedChild, Network
from asng.costs.measures import MEASURES
from asng.errors import InputError
from asng.nn import Inputs, Supernet, searchable
from asng.nn.inputs import calls_of
from asng.runs.folder import SHARED_WEIGHTS
from asng.runs.tensors import read_tensors, write_tensors
from asng.search import Loop, OneShotSearch
from asng.space import Architecture
from asng.training import recalibrate, score
from asng.training import train as train_network
from asng.training.data.halves import split_loader
from asng.training.data.nested import CountItems
from asng.training.data.random_state import seeded
from asng.training.data.stream import BatchStream
from asng.training.distillation import distilled
from asng.training.inputs import plain_calls
from asng.training.objective import Loss, Objective, qualified_name
from asng.training.optimizers import MakeOptimizer, MakeScheduler, adamw, cosine
from asng.training.progress import progress_bar

__all__ = ["compress"]

SCORED_ITEMS = 1000
"""About how many validation items an architecture is scored on in the search."""
SHORTER = 4
"""Finalists are first fine-tuned for a part of the epochs, one of so many."""
SHARED = 1.5
"""So many times as many architectures are scored for several budgets as for one."""


def compress(
    model: nn.Module,
    train: DataLoader[Any],
    valid: DataLoader[Any] | None = None,
    *,
    loss: Loss,
    budget: BudgetLike | None = None,
    budgets: Iterable[BudgetLike] | None = None,
    minimize: Objective | None = None,
    maximize: Objective | None = None,
    example: Any = None,
    train_weights: bool = True,
    teaching: float = 0.5,
    epochs: int = 10,
    evaluations: int = 400,
    finalists: int = 4,
    optimizer: MakeOptimizer = adamw,
    scheduler: MakeScheduler | None = cosine,
    clip: float | None = 5.0,
    options: Mapping[str, Any] | None = None,
    items: CountItems | None = None,
    seed: int = 0,
    run_dir: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Compressed:
    """Make a trained model smaller: plain networks within budgets, as good as can be found.

    Args:
        model: The trained model; it stays as it is. A GPU is used if the model is there.
        train: The data that it was trained on.
        valid: Data that it was not trained on, by which networks are compared. Default: a random part of the
            training data, a fifth, which flatters all scores; it is said.
        loss: A function of (forward, batch), see `asng.supervised`.
        budget: What the child may cost: a share of the model's multiply-adds (0.5), words ("latency=2ms",
            "bytes=1MB", "parameters=0.25"; a number up to 1 without a unit is a share), an `asng.Budget`, or
            a sequence of these that hold together.
        budgets: In place of `budget`: one for each of several children, all from one search.
        minimize: Compare networks by the least value of this function of (forward, batch), or metric of
            torchmetrics. Default: the loss.
        maximize: Compare by the greatest value of this one instead.
        example: Inputs that costs are measured on, as of `asng.OneShotSearch`. Default: one item of the
            training data, as the loss gives it to the model.
        train_weights: Train the shared weights on narrow networks too. False: search on the model's own
            weights, by forward passes only, which takes minutes; best for budgets of half or more.
        teaching: Weight in [0, 1] of what the model itself teaches children, see `asng.training.distilled`.
        epochs: Through the training data, >= 1, for the shared weights, and for each child at the end.
        evaluations: Architectures that are scored in the search, >= 1; half as many again for several budgets.
        finalists: How many are fine-tuned for a quarter of the epochs, to see which becomes the child, >= 1.
        optimizer: Makes the optimiser of weights from the parameters. Default: `adamw`.
        scheduler: Makes a schedule from (optimiser, total steps), or None. Default: `cosine`.
        clip: Greatest norm of the gradient, or None. Default 5.
        options: Of `asng.nn.searchable`: only, skip, step, least, ... Default: its own.
        items: Says how many items a batch has. Default: what the batch and its loader tell.
        seed: Of everything random.
        run_dir: Folder for what is worked out and for the children. Default: write nothing.
        resume: Go on with what is in `run_dir`, with the same settings.
        overwrite: Begin anew although `run_dir` holds a run.
        progress: Show progress bars.

    Returns:
        The model and its children, with scores and costs.

    Raises:
        InputError: An argument is not as described, the model does not run on the data, no width of it can be
            narrowed, or the smallest child is over a budget; all before anything is trained.
        RunError: `run_dir` holds a run already or one of other settings, or the loss is not finite.

    Example:
        >>> import asng
        >>> from torch.utils.data import TensorDataset
        >>> x = torch.randn(96, 8)
        >>> data = DataLoader(TensorDataset(x, x[:, :1] * x[:, 1:2]), batch_size=16)
        >>> model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        >>> loss = asng.supervised(nn.functional.mse_loss)
        >>> made = compress(
        ...     model, data, data, loss=loss, budget=0.5, epochs=1, evaluations=20, progress=False
        ... )
        >>> made.children[0].costs["multiply_adds"] <= 0.5 * made.model.costs["multiply_adds"]
        True
    """
    road = _Road(
        model=model,
        train=train,
        valid=valid,
        loss=loss,
        goals=goals_of(budget, budgets),
        minimize=minimize,
        maximize=maximize,
        example=example,
        train_weights=train_weights,
        teaching=teaching,
        epochs=epochs,
        evaluations=evaluations,
        finalists=finalists,
        optimizer=optimizer,
        scheduler=scheduler,
        clip=clip,
        options=dict(options or {}),
        items=items,
        seed=seed,
        folder=None if run_dir is None else Path(run_dir),
        progress=progress,
    )
    return road.walk(resume=resume, overwrite=overwrite)


@dataclass
class _Road:
    model: nn.Module
    train: DataLoader[Any]
    valid: DataLoader[Any] | None
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
    optimizer: MakeOptimizer
    scheduler: MakeScheduler | None
    clip: float | None
    options: dict[str, Any]
    items: CountItems | None
    seed: int
    folder: Path | None
    progress: bool
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise InputError(f"model: expected a torch.nn.Module, got {self.model!r:.80}.")
        if self.minimize is not None and self.maximize is not None:
            raise InputError("minimize, maximize: expected at most one of them, got both.")
        for name in ("epochs", "evaluations", "finalists"):
            integer_at_least(name, getattr(self, name), 1)
        real_between("teaching", self.teaching, 0.0, 1.0)

    # --- the whole road -----------------------------------------------------------------------------

    def walk(self, *, resume: bool, overwrite: bool) -> Compressed:
        """Do all of it, or what of it is left."""
        if self.valid is None:
            self.valid, self.train = split_loader(self.train, share=0.2, seed=self.seed)
            self.notes.append(
                "Scores are on data that the model was trained on, since no others were given: they flatter "
                "the model, and wide children. Give valid=."
            )
        with seeded(self.seed), self._timed("conversion"):
            calls, self.measured = self._examples()
            supernet = searchable(self.model, calls, **self.options)
        teach = self.loss
        if self.teaching > 0.0:
            teach = distilled(self.model, self.loss, self.teaching)
        settings = {
            "goals": [goal.name for goal in self.goals],
            "space": {name: variable.to_json() for name, variable in supernet.space.items()},
            "loss": qualified_name(self.loss),
            **{n: getattr(self, n) for n in ("seed", "epochs", "evaluations", "finalists", "teaching")},
            "train_weights": self.train_weights,
        }
        self.journal = Journal(self.folder, settings, resume=resume, overwrite=overwrite)
        try:
            return self._along(supernet, calls, teach)
        finally:
            self.journal.close()

    def _along(self, supernet: Supernet, calls: list[Inputs], teach: Loss) -> Compressed:
        with self._loop(supernet, teach) as loop:
            starts = self._starts(loop, supernet)
            model = self._network(self.model, "the model")
            if self.train_weights:
                with self._timed("shared weights"):
                    self._train_shared(loop, supernet, starts)
            with self._timed("search"):
                frontier = self._search(loop, supernet, starts)
        children = []
        with self._timed("fine-tuning"):
            for number, goal in enumerate(self.goals):
                children.append(
                    self._child(supernet, calls, teach, frontier, goal, starts[number], f"{goal.name}")
                )
        for note in self.notes if self.progress else ():
            warnings.warn(note, stacklevel=3)
        return Compressed(
            model=model,
            children=tuple(children),
            frontier=frontier,
            conversion=supernet.conversion,  # type: ignore[arg-type]
            higher_is_better=self.maximize is not None,
            metric=self._metric,
            seconds=dict(self.seconds),
            notes=tuple(self.notes),
            folder=self.folder,
            example=self.measured,
        )

    # --- its parts ----------------------------------------------------------------------------------

    def _examples(self) -> tuple[list[Inputs], list[Inputs]]:
        """Return calls to prove the conversion on, of a few items, and those that costs are measured on."""
        stream = BatchStream(self.train, "train")
        try:
            few, one = stream.few(3), stream.few(1)
            batch = stream.first() if few is None else few
        finally:
            stream.close()
        calls = plain_calls(self.model, self.loss, batch)
        if self.example is not None:
            return calls, calls_of(self.model, self.example)
        return calls, calls if one is None else plain_calls(self.model, self.loss, one)

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
        """Put together what trains and scores the shared weights."""
        budgets = {(b.name, str(b)): b for goal in self.goals for b in goal.budgets}
        search = OneShotSearch(
            supernet,
            teach,
            minimize=self._objective if self.maximize is None else None,
            maximize=self.maximize,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            cost=list(budgets.values()),
            example=self.measured[0],
            clip=self.clip,
            final=0.0,
            seed=self.seed,
            items=self.items,
        )
        with search.stepping(self.train, self._valid, epochs=self.epochs) as loop:
            yield loop

    @property
    def _valid(self) -> DataLoader[Any]:
        assert self.valid is not None
        return self.valid

    def _starts(self, loop: Loop, supernet: Supernet) -> list[Architecture]:
        """Return an even architecture within each goal; errors of budgets come here."""

        def work() -> list[Any]:
            meter = loop.scorer.meter
            meter.prepare()

            def costs(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
                return [found.values for found in meter.of_all(architectures)]

            return [dict(evenly_within(supernet.space, costs, goal)) for goal in self.goals]

        return [Architecture(start) for start in self.journal.answer("starts", work)]

    def _train_shared(self, loop: Loop, supernet: Supernet, starts: Sequence[Architecture]) -> None:
        """Train the weights on networks about the budgets, or read them if that was done."""
        path = None if self.folder is None else self.folder / SHARED_WEIGHTS
        if path is not None and self.journal.knows("shared weights") and path.exists():
            supernet.load_state_dict(read_tensors(path, "shared weights")["weights"])
            return
        draws, steps = thetas(supernet.space, starts, seed=self.seed + 1), self.epochs * len(self.train)
        loop.trainer.begin(steps)
        with progress_bar("shared weights", steps, show=self.progress) as bar:
            pool: list[Architecture] = []
            for step in range(steps):
                if not pool:
                    pool = [candidate.architecture for candidate in draws.ask(2 * len(starts))]
                value = loop.trainer.step([pool.pop()])
                bar.update(step + 1, loss=value)
        if path is not None:
            write_tensors(path, {"weights": supernet.state_dict()})
        self.journal.answer("shared weights", lambda: True)

    def _search(self, loop: Loop, supernet: Supernet, starts: Sequence[Architecture]) -> Frontier:
        """Search widths by scores on frozen weights."""
        scorer, turn = loop.scorer, 0
        batches = min(len(self._valid), max(1, math.ceil(SCORED_ITEMS / _batch_items(self._valid))))

        def costs(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
            nonlocal turn
            turn += 1
            return self.journal.answer(  # type: ignore[no-any-return]
                f"costs {turn}", lambda: [dict(c.values) for c in scorer.meter.of_all(architectures)]
            )

        def losses(architectures: Sequence[Architecture]) -> list[float]:
            def work() -> list[float]:
                if not architectures:
                    return []
                scores = scorer.means(architectures, batches)
                return [
                    scorer.sign * s.value if math.isfinite(s.value) else math.inf for s in scores
                ]

            found = self.journal.answer(f"scores {turn}", work)
            return [math.inf if value is None else value for value in found]

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
                tick=lambda done: bar.update(min(done, evaluations)),
            )

    def _child(
        self,
        supernet: Supernet,
        calls: list[Inputs],
        teach: Loss,
        frontier: Frontier,
        goal: Goal,
        start: Architecture,
        title: str,
    ) -> CompressedChild:
        """Fine-tune the finalists of a goal for a while, and the best of them to the end."""
        chosen = [one.architecture for one in frontier.different(goal, self.finalists, also=start)]
        sign = -1.0 if self.maximize is not None else 1.0

        def network(architecture: Architecture) -> nn.Module:
            return supernet.extract(architecture, example=calls)

        def tuned(architecture: Architecture, epochs: int, title: str) -> nn.Module:
            with seeded(self.seed):
                return train_network(
                    network(architecture),
                    self.train,
                    loss=teach,
                    epochs=epochs,
                    optimizer=self.optimizer,
                    scheduler=self.scheduler,
                    clip=self.clip,
                    title=title,
                    progress=self.progress,
                )

        def short(architecture: Architecture) -> float:
            child = tuned(architecture, math.ceil(self.epochs / SHORTER), f"finalist, {title}")
            return score(child, self._valid, self._objective, items=self.items)

        if len(chosen) > 1:
            scores = [
                sign * self.journal.answer(f"finalist {goal.name} {k}", lambda a=a: short(a))
                for k, a in enumerate(chosen)
            ]
            best = chosen[min(range(len(chosen)), key=scores.__getitem__)]
        else:
            best = chosen[0]
        before = recalibrate(network(best), self.train, loss=self.loss, items=self.items)
        child = tuned(best, self.epochs, title)
        return CompressedChild(
            network=child,
            score=score(child, self._valid, self._objective, items=self.items),
            costs=self._costs(child, goal),
            goal=goal,
            architecture=best,
            before=score(before, self._valid, self._objective, items=self.items),
        )

    def _network(self, network: nn.Module, name: str) -> Network:
        network = copy.deepcopy(network).eval()
        return Network(
            network, score(network, self._valid, self._objective, items=self.items), self._costs(network)
        )

    def _costs(self, network: nn.Module, goal: Goal | None = None) -> dict[str, float]:
        """Return what a network costs, by all measures that are told or limited."""
        measures = dict(MEASURES) | {b.name: b for g in self.goals for b in ()}
        return {name: float(m(network, self.measured[0])) for name, m in measures.items()}

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(self.seconds.get(part, 0.0) + time.perf_counter() - start, 2)


def _batch_items(loader: DataLoader[Any]) -> int:
    return max(1, getattr(loader, "batch_size", None) or SCORED_ITEMS)
