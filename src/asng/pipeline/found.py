"""Retrain what a search in Python found beside random networks, as the command line does."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from asng.checks import check_flags, integer_at_least
from asng.distributed import joined
from asng.distributed.sharding import is_sharded, without_numbers
from asng.errors import InputError, RunError
from asng.nn import Supernet
from asng.pipeline.begin import Job
from asng.pipeline.prepare import prepare
from asng.pipeline.retrain import begin_again, train_all
from asng.pipeline.task import Loaders, Recipe, Task
from asng.pipeline.train_alone import fresh_child
from asng.runs.folder import ARCHITECTURE, CHILD, CONFIG, RESULT, read_config
from asng.runs.results import Result, Scored
from asng.runs.stored import read_json, stored
from asng.search import SearchResult
from asng.search.arguments import check_loader
from asng.settings import SearchSettings
from asng.shown import html_table
from asng.training import load_child_weights, score
from asng.training.arguments import check_maker
from asng.training.child_file import load_into
from asng.training.data.random_state import staged
from asng.training.objective import qualified_name
from asng.training.optimizers import MakeOptimizer, MakeScheduler

__all__ = ["IN_PYTHON", "Retrained", "retrain_found"]

IN_PYTHON = "python"
"""The task name in config.yaml if model and data were given in Python, so that no file can identify them."""


@dataclass(frozen=True, repr=False)
class Retrained:
    """The found network trained from scratch, and the networks it is compared with.

    Attributes:
        child: The found network as a plain module, in eval mode.
        metric: The name of the score.
        higher_is_better: Whether a higher score is better.
        found: Score on the test data, parameters and seconds of the found network.
        baseline: The same for the user's own network; None if there is none.
        peers: The same for random networks of the same space.
        folder: The run folder; None if there is none.
    """

    child: nn.Module
    metric: str
    higher_is_better: bool
    found: Scored
    baseline: Scored | None
    peers: tuple[Scored, ...]
    folder: Path | None

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {scored.score:.4g}" for name, scored in self._rows())
        return f"Retrained({self.metric}: {rows})"

    def _repr_html_(self) -> str:
        rows = [(name, one.score, one.parameters, one.seconds) for name, one in self._rows()]
        return html_table("", rows, header=["network", self.metric, "parameters", "seconds"])

    def _rows(self) -> list[tuple[str, Scored]]:
        own = [] if self.baseline is None else [("baseline", self.baseline)]
        return [("found", self.found), *own, *((f"random {n}", one) for n, one in enumerate(self.peers, 1))]


def retrain_found(
    result: SearchResult,
    train: DataLoader[Any],
    test: DataLoader[Any],
    *,
    epochs: int,
    peers: int,
    baseline: Callable[[], nn.Module] | None,
    make: Callable[[], nn.Module] | None,
    optimizer: MakeOptimizer | None,
    scheduler: MakeScheduler | None,
    resume: bool,
    progress: bool,
) -> Retrained:
    """Implement `SearchResult.retrain`; the arguments are described there."""
    check_flags(resume=resume, progress=progress)
    epochs = integer_at_least("epochs", epochs, 1)
    peers = integer_at_least("peers", peers, 0)
    optimizer = optimizer or result.optimizer
    for name, value in {
        "optimizer": optimizer,
        "scheduler": scheduler,
        "baseline": baseline,
        "make": make,
    }.items():
        check_maker(name, value)
    check_loader("train", train)
    check_loader("test", test)
    if resume and result.folder is None:
        raise InputError("resume: expected a search with a run_dir, got one without. Give fit a run_dir.")
    recipe = Recipe(optimizer, scheduler, result.clip)
    task = _task_of(result, train, test, recipe, baseline=baseline, make=make)
    device = str(next(result.supernet.parameters()).device)
    settings = SearchSettings(retrain_epochs=epochs, peers=peers, device=device)
    config = {"task": IN_PYTHON, "seed": result.seed, "retrain": {"epochs": epochs, "peers": peers}}
    with TemporaryDirectory() as scratch, joined() as comm:
        folder = Path(comm.once(lambda: scratch)) if result.folder is None else result.folder
        job = Job(task, settings, folder, result.seed, comm, progress)
        ready = prepare(task, settings, result.seed)
        inherited = cache(result.inherited)
        if is_sharded(result.supernet):
            inherited()  # gathers weights of all processes
        with job.held():
            begin = partial(_begin, folder, config, result, inherited, task, ready.loaders, resume=resume)
            comm.once(begin)
            train_all(job, ready.loaders, ready.supernet.space)
        comm.once(bool)  # until the first process has written all results
        outcome = _outcome(folder, result, task, ready.loaders)
        comm.once(bool)  # until all have read them: now the folder may be removed
        return outcome


def _begin(
    folder: Path,
    config: dict[str, Any],
    result: SearchResult,
    inherited: Callable[[], nn.Module],
    task: Task,
    loaders: Loaders,
    *,
    resume: bool,
) -> None:
    """Write what is to be trained, unless the folder already contains this retraining and is resumed."""
    if not (folder / ARCHITECTURE).exists():  # the search had no run folder
        (folder / ARCHITECTURE).write_text(result.architecture.to_json(), encoding="utf-8")
    if resume and (folder / RESULT).exists():
        begun = read_config(folder) if (folder / CONFIG).exists() else {}
        if begun.get("retrain") != config["retrain"]:
            raise RunError(
                f"{folder}: expected a retraining that was started with {config['retrain']}, got "
                f"{begun.get('retrain')!r:.200}. Give the same, or leave resume=True out to start again."
            )
        return
    with staged(result.seed, "scores", loaders.test):
        scored = score(inherited(), loaders.test, task.score) if result.steps else math.nan
    first = {
        "metric": task.metric_on(loaders),
        "higher_is_better": task.higher_is_better,
        "seed": result.seed,
        "steps": result.steps,
        "search_seconds": round(result.seconds, 1),
        "reason": result.reason,
        "inherited": scored,
    }
    begin_again(folder, first, config)


def _outcome(folder: Path, result: SearchResult, task: Task, loaders: Loaders) -> Retrained:
    known = stored(read_json(folder / RESULT), Result, str(folder / RESULT))
    architecture, weights = load_child_weights(folder / CHILD)
    child = fresh_child(task, architecture, loaders, next(result.supernet.parameters()).device)
    load_into(child, weights, folder / CHILD)
    assert known.found is not None
    return Retrained(
        child.eval(),
        known.metric,
        known.higher_is_better,
        known.found,
        known.baseline,
        known.random,
        result.folder,
    )


def _task_of(
    result: SearchResult,
    train: DataLoader[Any],
    test: DataLoader[Any],
    recipe: Recipe,
    *,
    baseline: Callable[[], nn.Module] | None,
    make: Callable[[], nn.Module] | None,
) -> Task:
    build = make if make is not None else lambda: drawn_anew(result.supernet)
    objective = result.loss if result.objective is None else result.objective
    return Task(
        name=IN_PYTHON,
        data="given in Python",
        settings={},
        build=build,
        child=lambda architecture: build(),
        loaders=lambda seed: Loaders(train, test, train, test),
        loss=result.loss,
        metric="loss" if result.objective is None else qualified_name(objective).rpartition(".")[2],
        score=objective,
        higher_is_better=result.higher_is_better,
        recipe=recipe,
        baseline=baseline,
        example=result.example,
    )


def drawn_anew(supernet: Supernet) -> nn.Module:
    """Return a copy of a supernet's model as it was before any training, with other random weights.

    Each layer has redrawn its weights by its `reset_parameters`. Buffers, such as counters and running
    averages, and plain attributes are as they were when the supernet was made.

    Raises:
        InputError: A module has weights of its own but no method to redraw them.
    """
    if is_sharded(supernet):
        fresh = without_numbers(supernet).model.to_empty(device="cpu")
    else:
        fresh = copy.deepcopy(supernet.model)
    for path, module in fresh.named_modules():
        # torch's attention has it under a private name.
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
        elif module._parameters:
            owner = f"{path or 'the model'} ({type(module).__name__})"
            raise InputError(
                f"make: expected a function, because {owner} has weights of its own and no reset_parameters, "
                "got none. Give one that returns the model as it was before the search."
            )
    supernet.beginning.restore(fresh)
    return fresh
