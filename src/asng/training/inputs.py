"""Find out which inputs a loss gives a model for a batch."""

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
    """Runs one architecture, and records the inputs and the output of each call.

    Args:
        supernet: The supernet.
        architecture: The architecture to run.
        training: The mode that the supernet is in.

    Attributes:
        calls: The inputs of each call, as they were when it began.
        outputs: The output of each call, as it was when the call ended.
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
    """Return the inputs that `loss` gives the network for the loader's first batch, one per call.

    They come twice, for training mode and for eval mode, if the network takes them in both.

    Args:
        supernet: The supernet.
        architecture: The architecture to run.
        loss: The training loss.
        loader: Loader of the training data.
        needed: Whether there must be a call.

    Raises:
        InputError: The loss never runs the network although a call is needed.
    """
    with undisturbed():
        calls = inputs_of(supernet, architecture, loss, next(iter(loader)), needed=needed)
        return calls + _that_evaluate(supernet, architecture, calls)


def _that_evaluate(supernet: Supernet, architecture: Architecture, calls: list[Inputs]) -> list[Inputs]:
    """Return those calls that the network can also run in eval mode, marked as of that mode."""
    found = []
    with without_trace(supernet) as modes, torch.no_grad():
        modes.set(training=False)
        for call in calls:
            try:
                repeated(call).call(ArchitectureForward(supernet, architecture))
            except Exception:  # whatever a model raises for inputs that it only takes in training
                continue
            found.append(Inputs(call, call.named, training=False))
    return found


def repeated(call: Inputs) -> Inputs:
    """Return a copy of inputs that a model may change."""
    return Inputs(copied(tuple(call)), copied(dict(call.named)), training=call.training)


def inputs_of(
    supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any, *, needed: bool = True
) -> list[Inputs]:
    """Return the inputs that `loss`, called in training mode, gives the network for a batch, one per call.

    Raises:
        InputError: The loss never runs the network although a call is needed.
    """
    calls = calls_in(supernet, architecture, loss, batch, training=True)
    if needed and not calls:
        raise InputError(
            "loss: expected it to call forward at least once, got a loss that never does. If it runs other "
            "methods of the model, give OneShotSearch an example of the inputs of forward."
        )
    return calls


def calls_in(
    supernet: Supernet, architecture: Architecture, function: Objective, batch: Any, *, training: bool
) -> list[Inputs]:
    """Return the inputs of each call in a loss or an objective, leaving the supernet unchanged.

    Args:
        supernet: The supernet.
        architecture: The architecture to run.
        function: A loss or an objective.
        batch: The batch that it is called with.
        training: Mode of the supernet: True for a loss, False for an objective.
    """
    forward = Recorder(supernet, architecture, training=training)
    with without_trace(supernet) as modes, OutOfMemory().noted():
        # An architecture that does not fit into memory has shown its inputs by then.
        modes.set(training=training)
        _run(function, forward, to_device(batch, _device_of(supernet)))
    return forward.calls


def plain_calls(model: nn.Module, function: Objective, batch: Any, *, needed: bool = True) -> list[Inputs]:
    """Return the inputs of each call of a plain model in a loss, leaving the model unchanged.

    Args:
        model: The model; it is run in eval mode.
        function: A loss or an objective.
        batch: The batch that it is called with.
        needed: Whether there must be a call.

    Raises:
        InputError: The model fails, or is not called although a call is needed.
    """
    calls: list[Inputs] = []

    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(Inputs(copied(args), copied(kwargs)))

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with undisturbed(), left_alone(model):
        model.eval()
        # The loss gets the model itself, of which it may call other methods than the forward pass.
        model.register_forward_pre_hook(record, prepend=True, with_kwargs=True)
        try:
            function(model, own_copy(to_device(batch, device)))
        except Exception as error:
            raise InputError(
                f"model, loss: expected {type(model).__name__} and the loss to run on a first batch in "
                f"evaluation mode, got {type(error).__name__}: {in_one_line(error)}. Check that the data are "
                "what the model takes, and that the loss takes what it returns in this mode."
            ) from error
    if needed and not calls:
        raise InputError(
            "loss: expected it to call forward at least once, got a loss that never does. If it runs other "
            "methods of the model, give an example of the inputs of forward."
        )
    return calls


def make_whole(model: nn.Module, loss: Objective, first: Callable[[], Any]) -> None:
    """Give torch's lazy layers their sizes by passing a first batch, in a supernet through each choice.

    Lazy layers take their sizes from their first input, and have no weights before. A model without lazy
    layers is left alone.

    Args:
        model: A plain network or a supernet.
        loss: Says how a batch goes through the model; its value is not used.
        first: Returns the batch; only called if there is a lazy layer.

    Raises:
        InputError: There is a lazy layer that no pass reaches.

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
    with (
        kept_modes(model),
        located(lambda: "While lazy layers were given their sizes, before the search or training."),
    ):
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
    """Yield as many architectures as the largest variable has choices; each choice occurs in one of them."""
    choices = {
        name: variable.choices
        if isinstance(variable, Categorical)
        else (variable.decode(variable.encode(variable.high)),)
        for name, variable in space.items()
    }
    for k in range(max(map(len, choices.values()))):
        yield Architecture({name: values[k % len(values)] for name, values in choices.items()})


def _run(function: Objective, forward: Recorder, batch: Any) -> None:
    """Run a loss or an objective without gradients, or with them if it takes gradients itself."""
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
    """Let passes use the statistics of their batch, as in a search, and undo all that they change.

    Yields:
        The switch between the modes of the supernet.
    """
    with undisturbed(), left_alone(supernet), batch_statistics(supernet) as norms:
        yield Modes(supernet, norms)


def evaluates_alike(supernet: Supernet, architecture: Architecture, loss: Loss, batch: Any) -> bool:
    """Whether a network returns the same to a loss in eval mode as in training mode.

    If so, the loss can also serve as an objective, in eval mode. A detector returns losses in one mode and
    predictions in the other, a classifier perhaps scores and probabilities: such a loss must only be called
    in training mode. Random differences, such as from a user's own dropout, do not count. The loss is called
    once, in training mode.

    Args:
        supernet: The supernet.
        architecture: The architecture to run.
        loss: The training loss.
        batch: The batch that it is called with.
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
        except Exception:  # whatever a model raises for inputs that it only takes in training
            return False
        if difference(evaluated, forward.outputs, tolerance=TOLERANCE) is None:
            return True
        if _shapes_differ(evaluated, forward.outputs):
            return False
        modes.set_still()
        torch.manual_seed(torch.initial_seed() + 1)
        with torch.no_grad():
            again = outputs(forward.calls, run)
        # Random outputs differ each time.
        return difference(again, forward.outputs, tolerance=TOLERANCE) is not None
    return True


def _shapes_differ(got: Any, expected: Any) -> bool:
    return difference(got, expected, tolerance=float("inf")) is not None


def _device_of(supernet: nn.Module) -> torch.device:
    return next((p.device for p in supernet.parameters()), torch.device("cpu"))


def by_position(supernet: Supernet, inputs: Inputs) -> Inputs:
    """Return inputs that are all passed by position, if possible."""
    if not inputs.named:
        return inputs
    try:
        bound = inspect.signature(supernet.model.forward).bind(*inputs, **inputs.named)
    except (TypeError, ValueError):
        return inputs
    if bound.kwargs:
        return inputs
    bound.apply_defaults()  # for inputs before a named one
    return Inputs(bound.args)
