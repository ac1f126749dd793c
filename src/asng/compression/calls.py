"""What is found out about a model before anything is trained: calls that reach its layers, and its loss."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader, Dataset

from asng.errors import AsngError, InputError, in_one_line
from asng.nn import Conversion, Inputs, Searchable, Supernet
from asng.nn.conversion import REMEDY, reach_of
from asng.nn.inputs import calls_of, tensors_of
from asng.training.data.nested import expected_items, own_copy, to_device
from asng.training.data.random_state import staged, undisturbed
from asng.training.data.stream import BatchStream
from asng.training.faults import origin
from asng.training.forward import PlainForward
from asng.training.inputs import plain_calls
from asng.training.metric import is_metric
from asng.training.modes import left_alone
from asng.training.objective import Loss, Objective, qualified_name
from asng.training.train import score

__all__ = [
    "check_loader",
    "check_loss",
    "check_plain",
    "check_scored",
    "checked_score",
    "examples",
    "further",
    "layers_told",
    "unreached_told",
]

_SEARCHED = 20
"""Batches in which calls are looked for that reach more layers than the first ones."""
_FEW = (8, 32)
"""Numbers of items tried in turn for such a call, since proofs take longer with many."""


def check_plain(model: object) -> None:
    """Raise InputError unless a model is a torch.nn.Module that has weights and no searchable parts."""
    found = type(model).__name__
    if isinstance(model, nn.Module) and any(map(is_lazy, model.parameters())):
        path = next(path for path, weight in model.named_parameters() if is_lazy(weight))
        raise InputError(
            f"model: expected a trained one, got a {found} whose lazy layers have no weights yet, such as "
            f"{path}. Run a batch through it and train it first."
        )
    if isinstance(model, nn.Module) and not isinstance(model, Supernet):
        open_parts = ((path, part) for path, part in model.named_modules() if isinstance(part, Searchable))
        path, part = next(open_parts, ("", None))
        if part is None:
            return
        found += f" with the searchable {type(part).__name__} at {path or 'its top'!r}"
    raise InputError(
        f"model: expected a plain torch.nn.Module, got {found}. To search a supernet of your own, use "
        "asng.OneShotSearch; its result.child is plain."
    )


def check_loader(name: str, loader: Any, *, needed: bool) -> None:
    """Raise InputError unless a loader can be read again and again, and has a batch.

    Args:
        name: The name of the argument.
        loader: The loader.
        needed: Whether it must not be None.
    """
    if loader is None and not needed:
        return
    again = hasattr(loader, "__iter__") and not hasattr(loader, "__next__")  # an iterator is read only once
    if isinstance(loader, Dataset) or not again or not hasattr(loader, "__len__"):
        raise InputError(
            f"{name}: expected a loader with a length, got {type(loader).__name__}. Wrap a dataset: "
            "torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)."
        )
    BatchStream(loader, name)  # raises if it has no batch


def examples(
    model: nn.Module,
    loss: Loss,
    train: DataLoader[Any],
    example: Any,
    *,
    scored: DataLoader[Any] | None = None,
    seed: int,
) -> tuple[list[Inputs], list[Inputs]]:
    """Return calls to prove the conversion on, and those that costs are measured on, the first of all.

    The former are calls of a few items, those of the example, and calls from later batches that reach layers
    which these do not reach.

    Args:
        model: The model.
        loss: The training loss.
        train: Training data.
        example: As in `asng.compress`.
        scored: Further data of which all batches pass through networks with norms as in training.
        seed: Seed of the order of the data.

    Raises:
        InputError: The model or the loss does not run, also on a last batch of one item if a loader has one;
            or the loss is not finite or has no gradient.
    """
    stream = BatchStream(train, "train")
    try:
        few, one, first = stream.few(3), stream.few(1), stream.first()
    finally:
        stream.close()
    calls = plain_calls(model, loss, first if few is None else few, needed=example is None)
    check_loss(model, loss, first)
    _check_last_batch(model, loss, {"train": train, "valid": scored}, one)
    if example is not None:
        measured = calls_of(model, example)
        calls += measured
    else:
        measured = calls if one is None else plain_calls(model, loss, one)
    with staged(seed, "calls", train):
        return calls + _reaching_more(model, loss, train, calls), measured


def further(model: nn.Module, calls: Sequence[Inputs], measured: Inputs) -> list[Inputs]:
    """Return calls that reach more than the one that costs are measured on; none if that reaches all."""
    reach = reach_of(model, calls)
    branches = any(call.training for call in reach.calls)
    return reach.calls if branches or reach_of(model, [measured]).never != reach.never else []


def _reaching_more(
    model: nn.Module, loss: Loss, train: DataLoader[Any], calls: Sequence[Inputs]
) -> list[Inputs]:
    """Return calls from later batches that reach layers which none of the given calls reaches."""
    try:
        never = set(reach_of(model, calls).never)
    except Exception:  # the example does not fit; the conversion says so
        return []
    found: list[Inputs] = []
    stream = BatchStream(train, "train")
    try:
        for _ in range(min(_SEARCHED, len(train)) if never else 0):
            for call in plain_calls(model, loss, stream.next(), needed=False):
                for part in _shortened(call):
                    left = _missed(model, part, never)
                    if left < never:
                        found.append(part)
                        never = left
                        break
            if not never:
                break
    finally:
        stream.close()
    return found


def _shortened(call: Inputs) -> Iterator[Inputs]:
    """Yield a call with its first items only, with a few more, and with all of them."""
    items = next((t.shape[0] for t in tensors_of([tuple(call), dict(call.named)]) if t.ndim), 0)
    for count in (number for number in _FEW if number < items):
        yield Inputs(_first(tuple(call), items, count), _first(dict(call.named), items, count))
    yield call


def _missed(model: nn.Module, call: Inputs, never: set[str]) -> set[str]:
    """Return which of some layers a call misses; all of them if the model does not run on it."""
    try:
        return never.intersection(reach_of(model, [call]).never)
    except Exception:  # whatever a model raises for a part of its inputs
        return never


def _first(value: Any, items: int, count: int) -> Any:
    if isinstance(value, Tensor):
        return value[:count] if value.ndim and value.shape[0] == items else value
    if isinstance(value, Mapping):
        return {key: _first(part, items, count) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_first(part, items, count) for part in value)
    return value


def check_loss(model: nn.Module, loss: Loss, batch: Any, *, which: str = "the first batch") -> None:
    """Check that the loss of a whole model is finite on a batch and has a gradient, and leave it unchanged.

    Args:
        model: The model.
        loss: The training loss.
        batch: A batch of training data.
        which: What messages call it.

    Raises:
        InputError: It is not, or has none.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    batch = to_device(batch, next((p.device for p in model.parameters()), torch.device("cpu")))
    name = qualified_name(loss)
    with undisturbed(), left_alone(model), torch.enable_grad():
        model.train()
        try:
            value: Any = loss(PlainForward(model), own_copy(batch))
        except Exception as error:
            raise InputError(
                f"model, loss: expected {type(model).__name__} and the loss to run on a first batch in "
                f"training mode, got {type(error).__name__}: {in_one_line(error)}"
            ) from error
        if isinstance(value, Tensor) and value.numel() == 1 and not math.isfinite(value.item()):
            where = origin(model, lambda: float(loss(model, own_copy(batch))), name)
            raise InputError(
                f"loss: expected a finite number on {which}, got {value.item()}. {where} Look for a "
                "NaN in the data, or for a logarithm or a division by zero."
            )
        slopes: Sequence[Tensor | None] = []
        if isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad and weights:
            try:
                slopes = torch.autograd.grad(value.sum(), weights, allow_unused=True)
            except RuntimeError as error:
                raise InputError(
                    f"loss: expected one with a gradient in the parameters of the model, got {name}, of "
                    f"which torch says: {in_one_line(error)} Return the loss without calling backward(), and "
                    "let torch.utils.checkpoint, if you use it, have use_reentrant=False."
                ) from error
    if all(slope is None for slope in slopes):
        got = "none" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InputError(
            f"loss: expected one with a gradient in the parameters of the model, got {got} from {name}. "
            "Return a tensor of one number, computed without .detach(), .item() or torch.no_grad(). At least "
            "one parameter that it uses must have requires_grad=True."
        )


def check_scored(
    model: nn.Module,
    loss: Loss,
    objective: Objective,
    *,
    valid: DataLoader[Any],
    test: DataLoader[Any] | None,
) -> None:
    """Check that a whole model can be scored on the first batch of other data, and leave it unchanged.

    Args:
        model: The model.
        loss: The training loss, by which networks are compared too.
        objective: The objective. A metric is not computed, since it may need more than a batch.
        valid: Validation data.
        test: Test data, on which only the objective is computed.

    Raises:
        InputError: The loss or the objective fails.
    """
    for name, loader in (("valid", valid), ("test", test)):
        if loader is None:
            continue
        stream = BatchStream(loader, name)
        try:
            batch = stream.first()
        finally:
            stream.close()
        functions = [objective] if name == "test" or objective is loss else [loss, objective]
        for function in (one for one in functions if not is_metric(one)):
            with undisturbed(), left_alone(model):
                try:
                    score(model, [batch], function)  # type: ignore[arg-type]
                except AsngError:
                    raise
                except Exception as error:
                    raise InputError(
                        f"{name}: expected data on which {qualified_name(function)} runs in evaluation mode, "
                        f"without gradients, got {type(error).__name__}: {in_one_line(error)}. Check that "
                        "batches are like those of train, and that the function takes what the model returns "
                        "in this mode."
                    ) from error


def checked_score(score: float, objective: Objective) -> float:
    """Return the score of the whole model, which must not be NaN, since that says nothing about children.

    Raises:
        InputError: It is NaN.
    """
    if math.isnan(score):
        raise InputError(
            "minimize, maximize: expected a number for the whole model, got nan from "
            f"{qualified_name(objective)}. Look for a NaN in the data, or for a metric without a value."
        )
    return score


def _check_last_batch(
    model: nn.Module, loss: Loss, loaders: Mapping[str, DataLoader[Any] | None], one: Any
) -> None:
    """Raise if the last batch of a loader has one item, and the model in training fails on such a batch."""
    given = {name: loader for name, loader in loaders.items() if loader is not None}
    ending = [name for name, loader in given.items() if expected_items(loader, len(loader) - 1) == 1]
    if not ending or one is None:
        return
    try:
        check_loss(model, loss, one)
    except InputError as error:
        if error.__cause__ is not None:  # not one about the value of the loss
            raise InputError(
                f"{ending[0]}: expected batches that the model takes in training, got a last batch of one "
                f"item: {in_one_line(error.__cause__)}. Give its loader drop_last=True, or another size."
            ) from error.__cause__


def unreached_told(conversion: Conversion) -> str:
    """Return a sentence about the layers that no call reached; none if all were reached."""
    paths = conversion.unreached
    if not paths:
        return ""
    more = "" if len(paths) <= 8 else f" and {len(paths) - 8} others"
    return (
        f"compress: no call reached {', '.join(paths[:8])}{more}. They stay as they are, and their inputs "
        f"may get other widths, so that children cannot run them. {REMEDY.format('them')}, or remove them."
    )


@contextmanager
def layers_told(conversion: Conversion) -> Iterator[None]:
    """Name the layer if a network fails in one that no call of the conversion has reached.

    Raises:
        InputError: A network fails in such a layer.
    """
    try:
        yield
    except RuntimeError as error:
        frames = [frame.f_locals for frame, _ in walk_tb(error.__traceback__)]
        modules = [f for f in frames if isinstance(f.get("self"), nn.Module)]
        if isinstance(error, AsngError) or not modules:
            raise
        layer, root = modules[-1]["self"], modules[0]["self"]
        path = next((p for p, module in root.named_modules() if module is layer), "")
        name = next((p for p in conversion.unreached if f".{path}".endswith(f".{p}")), None)
        if name is None:
            raise
        given = next(tensors_of(modules[-1].get("input")), None)
        got = "another" if given is None else f"a tensor of {tuple(given.shape)}"
        raise InputError(
            f"{name}: expected {_width(layer)}, got {got}. No call of the conversion reached this layer, so "
            f"it was not fitted to the narrower child. {REMEDY.format('it')}."
        ) from error


def _width(layer: Any) -> str:
    names = ("in_features", "in_channels", "input_size", "num_features", "embed_dim")
    return next(
        (f"an input of width {getattr(layer, name)}" for name in names if hasattr(layer, name)),
        "an input as in the whole model",
    )
