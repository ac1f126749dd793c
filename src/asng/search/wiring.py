"""Turn the settings of `OneShotSearch` into what the parts of a run need."""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from msgspec import UNSET

from asng.costs.extremes import ends_of
from asng.costs.measures import needs_numbers
from asng.costs.meter import CostMeter
from asng.costs.places import meta_copy
from asng.costs.terms import checked_costs, measures_of
from asng.distributed import Comm
from asng.distributed.sharding import InStep, is_sharded, whole, without_numbers
from asng.errors import InputError
from asng.nn import Inputs, Supernet
from asng.nn.inputs import calls_of
from asng.optim import Optimizer
from asng.options import Precision
from asng.runs.config import defaults_of
from asng.search.stopping import StopRule
from asng.search.trainer import Trainer
from asng.training.faults import OutOfMemory
from asng.training.inputs import by_position, evaluates_alike, inputs_of
from asng.training.metric import MetricObjective, as_objective
from asng.training.objective import Loss, in_precision, qualified_name

if TYPE_CHECKING:
    from asng.search.one_shot import OneShotSearch

__all__ = [
    "Told",
    "calls_in_training_only",
    "example_of",
    "in_step",
    "in_the_precision",
    "made",
    "meter_of",
    "plain_setting",
    "selects",
    "shared_settings",
    "told_settings",
    "window_of",
]


class Told(NamedTuple):
    """The arguments of a search, as the log records them.

    Attributes:
        settings: Arguments by name: plain values, and functions by their names.
        defaults: The defaults of the arguments that were given another value.
    """

    settings: Mapping[str, Any]
    defaults: Mapping[str, Any]


def told_settings(search: Any, **given: tuple[Any, Any]) -> Told:
    """Return the arguments of a search for its log, except objects that are not plain values or functions.

    The checkpoint intervals are left out too, so that searches with the same results have the same log.

    Args:
        search: An `asng.OneShotSearch`.
        given: Arguments of `fit`, each as (value, default).
    """
    names = [one.name for one in fields(search) if not one.name.startswith("checkpoint_")]
    values = {name: plain_setting(getattr(search, name)) for name in names}
    usual = {name: plain_setting(default) for name, default in defaults_of(search).items()}
    values |= {name: value for name, (value, _) in given.items()}
    usual |= {name: default for name, (value, default) in given.items() if value != default}
    settings = {name: value for name, value in values.items() if value is not UNSET}
    return Told(settings, {name: value for name, value in usual.items() if name in settings})


def plain_setting(value: Any) -> Any:
    """Return a setting as a value for JSON: a function by its name; UNSET for any other object."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, StopRule):
        return asdict(value)
    if isinstance(value, torch.nn.Module) or not callable(value):
        return UNSET
    return qualified_name(value)


def shared_settings(search: Any, trainer: Trainer, epochs: int) -> dict[str, Any]:
    """Return the settings that a resumed run must share with its first part, as far as they can be told.

    Functions are told by their names without the module, so that they may move; optimiser and schedule by
    their classes. A lambda cannot be told.

    Args:
        search: An `asng.OneShotSearch`.
        trainer: Has the optimiser and the schedule of the weights.
        epochs: Passes over the training data.
    """
    name = selects(search)
    named = {"loss": search.loss, name: as_objective(getattr(search, name))}
    named |= {"optimizer": trainer.optimizer, "scheduler": trainer.scheduler}
    told = {key: None if value is None else function_name(value) for key, value in named.items()}
    plain = {key: getattr(search, key) for key in ("seed", "lam_x", "lam_theta", "clip")}
    known = {key: text for key, text in told.items() if "<lambda>" not in (text or "")}
    return {**plain, "select": name, "epochs": epochs, **known}


def function_name(function: Any) -> str:
    """Return the name of a function, or of an object's class, without its module, so that it may move."""
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return str(named.__qualname__).rpartition("<locals>.")[2]


def selects(search: Any) -> str:
    """Return the argument that architectures are selected by: "maximize", "minimize" or "loss"."""
    return next((name for name in ("maximize", "minimize") if getattr(search, name) is not None), "loss")


def made(theta: Optimizer | None) -> Optimizer:
    """Return the optimiser of theta, which a search sets when it is created.

    Raises:
        InputError: It has been set to None since then.
    """
    if theta is None:
        raise InputError("architecture_optimizer: expected an optimiser, got None.")
    return theta


def window_of(objective: Any) -> int:
    """Return how many batches a step scores on with this objective."""
    objective = as_objective(objective)
    return objective.window if isinstance(objective, MetricObjective) else 1


def in_step(comm: Comm, search: "OneShotSearch") -> Comm:
    """Return the processes with their way of working: dividing work, or in step if weights are sharded."""
    return InStep(comm) if is_sharded(search.supernet) else comm


def meter_of(
    search: "OneShotSearch", example: Callable[[], Inputs], comm: Comm, memory: OutOfMemory, *, final: bool
) -> CostMeter:
    """Return what measures the costs of a search.

    If weights are sharded, a copy of the supernet with whole weights is measured: one without numbers if that
    is enough, else one with the weights of now, in main memory. So a process can measure alone.

    Args:
        search: Has the supernet and the costs.
        example: Returns the inputs.
        comm: The processes.
        memory: Counts what does not fit into memory.
        final: Whether the search has a final, which measures sizes.
    """
    supernet, terms = search.supernet, checked_costs(search.cost)
    if not isinstance(comm, InStep) or not (terms or final):
        return CostMeter(supernet, terms, example, comm, memory)
    inputs = cache(example)
    inputs()  # a pass of the sharded supernet, which all processes must make
    meter = partial(CostMeter, terms=terms, example=inputs, comm=comm.comm, memory=memory)
    counted = meter(meta_copy(without_numbers(supernet)))
    numbers = any(map(needs_numbers, measures_of(terms).values()))
    if comm.either(numbers or not all(map(counted.runs, (*ends_of(supernet), _some(supernet)))))[0]:
        return meter(whole(supernet), device=next(supernet.parameters()).device)
    return counted


def in_the_precision(function: Any, precision: Precision, supernet: Supernet) -> Any:
    """Wrap a loss or an objective so that it computes in the precision of the search."""
    device = next((p.device for p in supernet.parameters()), torch.device("cpu"))
    function = as_objective(function)
    if isinstance(function, MetricObjective):
        feed = in_precision(function.feed, precision, device)
        return MetricObjective(function.metric, feed, window=function.window)
    return in_precision(function, precision, device)


def example_of(supernet: Supernet, example: Any, loss: Loss, first: Callable[[], Any]) -> Inputs:
    """Return the inputs on which costs are measured: the given ones, or those of the loss's first call.

    Args:
        supernet: The supernet.
        example: The user's example, or None.
        loss: The training loss.
        first: Returns the first training batch.
    """
    if example is not None:
        return calls_of(supernet.model, example)[0]
    return by_position(supernet, inputs_of(supernet, _some(supernet), loss, first())[0])


def calls_in_training_only(supernet: Supernet, loss: Loss, first: Callable[[], Any], comm: Comm) -> bool:
    """Return whether a loss that selects architectures must be called in training mode only.

    Args:
        supernet: The supernet.
        loss: The training loss.
        first: Returns the first training batch.
        comm: The processes, which must agree.
    """
    modules = supernet.model.modules()
    if all(type(module).__module__.partition(".")[0] in ("torch", "asng") for module in modules):
        return False  # in evaluation mode these are known to do the same as in training, without randomness
    alike = evaluates_alike(supernet, _some(supernet), loss, first())
    return comm.either(not alike)[0]


def _some(supernet: Supernet) -> Any:
    return supernet.space.sample(random.Random(0))  # any will do: the loss does not depend on which
