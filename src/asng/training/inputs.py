"""What a model is given as inputs, learnt from a loss and a batch."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from asng.errors import InputError, in_one_line, located
from asng.nn import Inputs, Supernet
from asng.space import Architecture, Categorical, Space, Value
from asng.training.batch_norm import batch_statistics
from asng.training.compare import TOLERANCE, copied, difference
from asng.training.data.nested import own_copy, to_device
from asng.training.data.random_state import undisturbed
from asng.training.faults import OutOfMemory
from asng.training.forward import ArchitectureForward
from asng.training.modes import Modes, kept_modes, left_alone
from asng.training.objective import Loss, Objective

__all__ = [
    "Recorder",
    "calls_in",
    "evaluates_alike",
    "example_inputs",
    "inputs_of",
    "plain_calls",
    "by_position",
    "repeated",
    "without_trace",
]


class Recorder(ArchitectureForward):
    """Runs one architecture, and keeps what each call was given and what it returned.

    Args:
        supernet: The supernet.
        architecture: The one.
        training: The mode that the supernet is in.

    Attributes:
        calls: The inputs of each call, as they were when it began.
        outputs: What it returned, as it was when it ended.
    """

    def __init__(
        self, supernet: Supernet, architecture: Mapping[str, Value], *, training: bool | None = None
    ) -> None:
        super().__init__(supernet, architecture)
        self.training = training
        self.calls: list[Inputs] = []
        self.outputs: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model."""
        self.calls.append(Inputs(copied(args), copied(kwargs), training=self.training))
        output = super().__call__(*args, **kwargs)
        self.outputs.append(copied(output))
        return output


def example_inputs(
    supernet: Supernet,
    architecture: Architecture,
    loss: Loss,
    loader: DataLoader[Any],
    *,
    needed: bool = True,
) -> list[Inputs]:
    """Return the inputs that `loss` gives the network for the loader's first batch, one a call.

    They come twice, in training mode and in evaluation mode, if the network takes them in both.

    Args:
        supernet: The supernet.
        architecture: The one that is run.
        loss: The training loss.
        loader: Of the training data.
        needed: Whether there must be one.

    Raises:
        InputError: The loss never runs the network, though that is needed.
    """
    with undisturbed():
        calls = inputs_of(supernet, architecture, loss, next(iter(loader)), needed=needed)
        return calls + _that_evaluate(supernet, architecture, calls)


def _that_evaluate(supernet: Supernet, architecture: Architecture, calls: list[Inputs]) -> list[Inputs]:
    """Return those calls that the network can be evaluated on, in evaluation mode."""
    found = []
    with without_trace(supernet) as modes, torch.no_grad():
        modes.set(training=False)
        for call in calls:
            try:
                repeated(call).call(ArchitectureForward(supernet, architecture))
            except Exception:  # whatever a model raises for what it is only given in training
                continue
            found.append(Inputs(call, call.named, training=False))
    return found


def repeated(call: Inputs) -> Inputs:
    """Return copies of inputs, which a model may change."""
    return Inputs(copied(tuple(call)), copied(dict(call.named)), training=call.training)


def inputs_of(
    supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any, *, needed: bool = True
) -> list[Inputs]:
    """Return the inputs that `loss`, called in training mode, gives the network for a batch, one a call.

    Raises:
        InputError: The loss never runs the network, though that is needed.
    """
    calls = calls_in(supernet, architecture, loss, batch, training=True)
    if needed and not calls:
        raise InputError(
            "loss: expected it to call forward once at least, got a loss that never does. If it runs other "
            "methods of the model, give OneShotSearch an example of the inputs of forward."
        )
    return calls


def calls_in(
    supernet: Supernet, architecture: Architecture, function: Objective, batch: Any, *, training: bool
) -> list[Inputs]:
    """Return the inputs of each call in a loss or an objective, without a trace in the supernet.

    Args:
        supernet: The supernet.
        architecture: The one that is run.
        function: A loss or an objective.
        batch: For it.
        training: Its mode: training for a loss, evaluation for an objective.
    """
    forward = Recorder(supernet, architecture, training=training)
    with without_trace(supernet) as modes, OutOfMemory().noted():
        # An architecture that does not fit into memory has shown its inputs before.
        modes.set(training=training)
        _run(function, forward, to_device(batch, _device_of(supernet)))
    return forward.calls


def plain_calls(model: nn.Module, function: Objective, batch: Any) -> list[Inputs]:
    """Return the inputs of each call of a plain model in a loss, without a trace in the model.

    Args:
        model: The model; it is run in evaluation mode.
        function: A loss or an objective.
        batch: For it.

    Raises:
        InputError: The model is not called, or fails.
    """
    calls: list[Inputs] = []

    def forward(*args: Any, **kwargs: Any) -> Any:
        calls.append(Inputs(copied(args), copied(kwargs)))
        return model(*args, **kwargs)

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with undisturbed(), left_alone(model):
        model.eval()
        try:
            function(forward, own_copy(to_device(batch, device)))
        except Exception as error:
            raise InputError(
                f"model, loss: expected {type(model).__name__} and the loss to run on a first batch, got "
                f"{type(error).__name__}: {in_one_line(error)}. See that the data are what the model takes."
            ) from error
    if not calls:
        raise InputError("loss: expected it to call forward once at least, got a loss that never does.")
    return calls


def make_whole(model: nn.Module, loss: Objective, first: Callable[[], Any]) -> None:
    """Give lazy layers of torch their sizes, by passes of a first batch; of a supernet through each choice.

    They take them from what they are first given, and have no weights before. A model without is left alone.

    Args:
        model: A plain network or a supernet.
        loss: Says how a batch goes through it; its value is not used.
        first: Gives the batch, if there is a lazy layer.

    Raises:
        InputError: No pass reaches one of them.

    Example:
        >>> net = nn.Sequential(nn.LazyLinear(2), nn.ReLU())
        >>> make_whole(net, lambda forward, batch: forward(batch), lambda: torch.ones(4, 3))
        >>> net[0].weight.shape
        torch.Size([2, 3])
    """
    if not _lazy(model):
        return
    batch = to_device(first(), _device_of(model))
    forwards: Iterable[Any] = [model]
    if isinstance(model, Supernet):
        forwards = (ArchitectureForward(model, architecture) for architecture in _through_all(model.space))
    with kept_modes(model), located(lambda: "While lazy layers were given their sizes, before all else."):
        for forward in forwards:
            model.train()
            loss(forward, own_copy(batch))
            if not _lazy(model):
                return
    raise InputError(
        f"model: expected a pass over a first batch to reach each lazy layer, got none through "
        f"{_lazy(model)[0]!r}. Give its layer the size of its input."
    )


def _lazy(model: nn.Module) -> list[str]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return [name for name, tensor in tensors if is_lazy(tensor)]


def _through_all(space: Space) -> Iterator[Architecture]:
    """Yield as many architectures as the most choices that a variable has, each choice in one of them."""
    choices = {
        name: variable.choices
        if isinstance(variable, Categorical)
        else (variable.decode(variable.encode(variable.high)),)
        for name, variable in space.items()
    }
    for k in range(max(map(len, choices.values()))):
        yield Architecture({name: values[k % len(values)] for name, values in choices.items()})


def _run(function: Objective, forward: Recorder, batch: Any) -> None:
    """Run a loss or an objective without gradients, or with them if it takes some itself."""
    try:
        with torch.no_grad():
            function(forward, own_copy(batch))
    except RuntimeError as error:
        if "require grad" not in str(error):
            raise
        forward.calls.clear()
        forward.outputs.clear()
        with torch.enable_grad():
            function(forward, own_copy(batch))


@contextmanager
def without_trace(supernet: Supernet) -> Iterator[Modes]:
    """Have passes run as in a search, by the statistics of their batch, and leave no trace of them.

    Yields:
        What switches the supernet between its modes.
    """
    with undisturbed(), left_alone(supernet), batch_statistics(supernet) as norms:
        yield Modes(supernet, norms)


def evaluates_alike(supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any) -> bool:
    """Whether a network gives a loss in evaluation mode what it does in training.

    If so the loss can be taken as an objective, of the network as it is in evaluation. A detector returns
    losses in one mode and predictions in the other, a classifier perhaps scores and probabilities: a loss is
    to be called in training mode only. Differences by chance, as a dropout of the user's own makes them, do
    not count. The loss is called once, in training mode.

    Args:
        supernet: The supernet.
        architecture: The one that is run.
        loss: The training loss.
        batch: For it.
    """
    device = _device_of(supernet)

    def outputs(calls: list[Inputs], run: Callable[..., Any]) -> list[Any]:
        return [repeated(call).call(run) for call in calls]

    forward = Recorder(supernet, architecture)
    with without_trace(supernet) as modes, OutOfMemory().noted():
        modes.set_still()
        _run(loss, forward, to_device(batch, device))
        run = ArchitectureForward(supernet, architecture)
        modes.set(training=False)
        try:
            with torch.no_grad():
                evaluated = outputs(forward.calls, run)
        except Exception:  # whatever a model raises for want of what only training gives it
            return False
        if difference(evaluated, forward.outputs, tolerance=TOLERANCE) is None:
            return True
        if _shapes_differ(evaluated, forward.outputs):
            return False
        modes.set_still()
        torch.manual_seed(torch.initial_seed() + 1)
        with torch.no_grad():
            again = outputs(forward.calls, run)
        # What is drawn at random differs each time.
        return difference(again, forward.outputs, tolerance=TOLERANCE) is not None
    return True


def _shapes_differ(got: Any, expected: Any) -> bool:
    return difference(got, expected, tolerance=float("inf")) is not None


def _device_of(supernet: nn.Module) -> torch.device:
    return next((p.device for p in supernet.parameters()), torch.device("cpu"))


def by_position(supernet: Supernet, inputs: Inputs) -> Inputs:
    """Return inputs all of which go by position, if they can."""
    if not inputs.named:
        return inputs
    try:
        bound = inspect.signature(supernet.model.forward).bind(*inputs, **inputs.named)
    except (TypeError, ValueError):
        return inputs
    if bound.kwargs:
        return inputs
    bound.apply_defaults()  # of inputs before a named one
    return Inputs(bound.args)
