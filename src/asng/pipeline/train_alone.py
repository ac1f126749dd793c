"""Train one architecture from scratch, and score it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.nn.inputs import calls_of
from asng.pipeline.prepare import device_of, first_of, make_baseline, place
from asng.pipeline.task import Loaders, Task
from asng.settings import SearchSettings
from asng.space import Architecture
from asng.training import Loss, count_parameters, give_averages, score, sgd, train
from asng.training.data.random_state import seeded, staged
from asng.training.inputs import example_inputs, make_whole
from asng.training.objective import Objective, in_precision

__all__ = ["Trained", "fresh_child", "reseed", "scores_of", "train_from_scratch"]


@dataclass(frozen=True)
class Trained:
    """A network that was trained from scratch, with its scores; a baseline has no architecture."""

    network: nn.Module
    architecture: Architecture | None
    score: float
    others: Mapping[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return its entry in result.json."""
        return {
            "score": self.score,
            **({"others": dict(self.others)} if self.others else {}),
            "parameters": count_parameters(self.network),
            "seconds": round(self.seconds, 2),
            "architecture": None if self.architecture is None else dict(self.architecture),
        }


def fresh_child(task: Task, architecture: Architecture, loaders: Loaders, device: torch.device) -> nn.Module:
    """Return a plain network of an architecture with initial weights.

    Its layers take their sizes from the inputs that the loss passes to the network for a first batch.
    """
    return _extracted(task.child(architecture), architecture, task, task.loss, loaders, device)


def _extracted(
    model: nn.Module,
    architecture: Architecture,
    task: Task,
    loss: Loss,
    loaders: Loaders,
    device: torch.device,
) -> nn.Module:
    supernet = Supernet(model)
    make_whole(supernet, loss, first_of(loaders.train))
    supernet.space.check(architecture)
    given = [] if task.example is None else calls_of(supernet.model, task.example)
    inputs = example_inputs(supernet, architecture, loss, loaders.train, needed=not given) or given
    # Extract in training mode, so that the network includes user modules that run only in training.
    return place(give_averages(supernet.extract(architecture, example=inputs, fresh=True)), device)


def train_from_scratch(
    task: Task,
    settings: SearchSettings,
    architecture: Architecture | None,
    *,
    loaders: Loaders,
    seed: int,
    title: str,
    progress: bool,
    keep_going: Callable[[], bool] = lambda: True,
    run_seed: int | None = None,
) -> Trained:
    """Build, train and score one architecture by the task's recipe; the same seed gives the same network.

    If `architecture` is None, train the task's baseline by the same recipe. If the recipe has a `build`, the
    baseline goes without its `build`, `loss` and `before_step`. Scoring uses `run_seed`, so that all networks
    of a run see the same test data; its default is `seed`.

    Raises:
        KeyboardInterrupt: `keep_going` returned False.
        RunError: The loss is not finite.
        InputError: The model that the recipe builds lacks weights of the child, or the task has no baseline.
    """
    as_in_search = partial(sgd, learning_rate=settings.learning_rate, weight_decay=task.weight_decay)
    recipe, device = task.recipe, device_of(settings.device)
    if architecture is None and recipe.build is not None:
        recipe = replace(recipe, build=None, loss=None, before_step=None)
    loss = in_precision(recipe.loss or task.loss, settings.precision, device)
    with seeded(seed):
        start = time.perf_counter()
        if architecture is None:
            network = make_baseline(task)
            make_whole(network, loss, first_of(loaders.train))
            place(network, device)
        else:
            model = (recipe.build or task.child)(architecture)
            network = _extracted(model, architecture, task, loss, loaders, device)
        reseed(loaders.train, seed)
        network.eval()
        if any(weight.requires_grad for weight in network.parameters()):  # else it is scored as it is
            network = train(
                network,
                loaders.train,
                loss=loss,
                epochs=settings.retrain_epochs,
                optimizer=recipe.optimizer or as_in_search,
                scheduler=recipe.scheduler,
                clip=recipe.clip,
                title=title,
                progress=progress,
                keep_going=keep_going,
                before_step=recipe.before_step,
            )
        seconds = time.perf_counter() - start
        child = network
        if architecture is not None and recipe.build is not None:
            child = _handed_over(network, fresh_child(task, architecture, loaders, device))
    value, others = scores_of(child, task, loaders, seed if run_seed is None else run_seed)
    return Trained(child, architecture, value, others, seconds)


def scores_of(
    network: nn.Module, task: Task, loaders: Loaders, seed: int
) -> tuple[float, Mapping[str, float]]:
    """Return the score of a trained network on test data, and its further scores by name.

    Args:
        network: The network, in eval mode.
        task: The task that defines the scores.
        loaders: The loaders of the task; only `test` is read.
        seed: The seed of the run. If test data change at random, it makes them the same for each score.
    """

    def scored(objective: Objective) -> float:
        with staged(seed, "scores", loaders.test):
            return score(network, loaders.test, objective)

    return scored(task.score), {name: scored(other) for name, other in task.others.items()}


def _handed_over(network: nn.Module, child: nn.Module) -> nn.Module:
    """Copy the weights of the trained network to the child, and return the child in eval mode."""
    trained = network.state_dict()
    missing = [name for name in child.state_dict() if name not in trained]
    if missing:
        raise InputError(
            f"recipe.build: expected a network with all weights of the child, got none of {missing[0]!r}. "
            "Build the same model with modules added."
        )
    child.load_state_dict({name: trained[name] for name in child.state_dict()})
    return child.eval()


def reseed(owner: Any, seed: int) -> None:
    """Seed the generators that a loader, its samplers and its dataset own.

    Otherwise they would continue from where the last network left them, which a resumed run cannot know.
    """
    generator = getattr(owner, "generator", None)
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    for name in ("sampler", "batch_sampler", "dataset"):
        part = getattr(owner, name, None)
        if part is not None:
            reseed(part, seed)
