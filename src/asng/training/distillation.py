"""Knowledge distillation: a loss that also teaches networks the outputs of a trained one."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from asng.checks import integer_at_least, real_between
from asng.errors import InputError
from asng.nn import Inputs
from asng.nn.conversion import as_told
from asng.nn.extraction.copying import deep_copy
from asng.nn.extraction.recording import seed_torch
from asng.training.data.nested import own_copy, tensors_in
from asng.training.forward import running
from asng.training.modes import cuda_devices
from asng.training.objective import Forward, Loss, qualified_name

__all__ = ["Distance", "distilled", "relative_error", "soft_cross_entropy"]

_CONSTANT = 1e-10
"""Variance, as a share of the mean square, up to which numbers are taken to be equal but for rounding."""

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Maps the output of a network and that of its teacher to a tensor of one number."""


def relative_error(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of an output, as a share of the variance of the teacher's output.

    It suits numbers of any kind and scale: regressions, images, and the logits of classes. Logits teach at
    least as well this way as by soft labels (Ba and Caruana, "Do Deep Nets Really Need to be Deep?", 2014).
    If the teacher's output has no variance, as one number for a batch of one item, the error is a share of
    the mean square of both outputs. Half precisions are computed in float32.

    Args:
        output: Output of the network, any shape.
        target: Output of the teacher, the same shape.

    Example:
        >>> relative_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])).item()
        0.5
    """
    output, target = _widened(output), _widened(target)
    variance, size = target.var(unbiased=False), target.square().mean()
    both = (size + output.detach().square().mean()).clamp_min(torch.finfo(target.dtype).tiny)
    return (output - target).square().mean() / torch.where(variance > _CONSTANT * size, variance, both)


def soft_cross_entropy(temperature: float = 1.0, dim: int = -1) -> Distance:
    """Return the distance of Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015.

    It is the divergence of the network's softened probabilities from the teacher's, times the square of the
    temperature, so that gradients keep their size.

    Args:
        temperature: Temperature of both softmaxes, > 0.
        dim: The dimension of the classes. Default: the last.

    Example:
        >>> soft_cross_entropy()(torch.zeros(2, 3), torch.zeros(2, 3)).item()
        0.0
    """
    real_between("temperature", temperature, 0.0, 1e6, open_low=True)

    def divergence(output: Tensor, target: Tensor) -> Tensor:
        own, taught = ((_widened(x) / temperature).log_softmax(dim) for x in (output, target))
        return (taught.exp() * (taught - own)).sum(dim).mean() * temperature**2

    return divergence


def _widened(output: Tensor) -> Tensor:
    """Return an output in a precision in which squares neither overflow nor vanish."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output


def distilled(
    teacher: nn.Module,
    loss: Loss,
    weight: float = 0.5,
    *,
    distance: Distance = relative_error,
    remember: int = 0,
) -> Loss:
    """Return a loss that also makes a network imitate a teacher.

    It is `(1 - weight) * loss + weight * distance`. Whenever the loss calls the network, the teacher gets the
    same inputs, in eval mode and without gradients; the distance is between both outputs. If the network has
    more outputs in training, such as those of an auxiliary head, the teacher makes them too. It is the mean
    over all floating-point tensors of an output that have at least one dimension and the shape of the
    teacher's. Logits are such tensors, the hidden states of a narrower network are not.

    Args:
        teacher: A trained network that takes the same inputs. It is copied, so the taught model may be made
            from it.
        loss: The training loss, a function of (forward, batch).
        weight: Share of the distance, in [0, 1]. Even with 1, the loss determines the inputs of the network.
        distance: Default: `relative_error`. For classes there is `soft_cross_entropy(temperature)`.
        remember: Number of recent inputs whose teacher outputs are kept, >= 0, for a loss that sees the same
            batches again and again. Only inputs of CPU tensors and plain values are kept.

    Raises:
        InputError: An argument is not as described. When called: the loss does not call `forward`, or no
            output has the shape of the teacher's.

    Example:
        >>> from asng.training import supervised
        >>> loss = distilled(nn.Linear(3, 2), supervised(nn.functional.cross_entropy))
        >>> loss(nn.Linear(3, 2), (torch.ones(4, 3), torch.tensor([0, 1, 1, 0]))).shape
        torch.Size([])
    """
    if not isinstance(teacher, nn.Module):
        raise InputError(f"teacher: expected a torch.nn.Module, got {teacher!r:.80}.")
    if not callable(loss) or not callable(distance):
        raise InputError(
            f"loss, distance: expected functions, got {loss!r:.80} and {distance!r:.80}. The loss is a "
            "function of (forward, batch); see asng.supervised."
        )
    weight = real_between("weight", weight, 0.0, 1.0)
    taught = _Teacher(teacher, distance, integer_at_least("remember", remember, 0))

    def taught_loss(forward: Forward, batch: Any) -> Tensor:
        heard = _Heard(forward, taught)
        own = loss(heard, batch)
        if not heard.calls:
            raise InputError(
                f"loss: expected {qualified_name(loss)} to call forward, by which the teacher is called too, "
                "got a loss that never does. Teach by forward(...), not by other methods of the model."
            )
        return (1.0 - weight) * own + weight * sum(heard.distances) / heard.calls

    taught_loss.__qualname__ = f"distilled({qualified_name(loss)})"
    return taught_loss


def _content(value: Any, digest: "hashlib.blake2b | None" = None) -> bytes | None:
    """Return a digest of inputs; None unless all are CPU tensors, plain values, or containers of these."""
    digest = hashlib.blake2b(digest_size=20) if digest is None else digest
    if isinstance(value, Tensor):
        if value.device.type != "cpu" or value.layout != torch.strided:
            return None
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif type(value) in (list, tuple, dict):
        digest.update(f"{type(value)} {len(value)} {list(value) if type(value) is dict else ''}".encode())
        if any(_content(part, digest) is None for part in (value.values() if type(value) is dict else value)):
            return None
    elif value is None or type(value) in (bool, int, float, str):
        digest.update(f"{value!r} ".encode())
    else:
        return None
    return digest.digest()


class _Teacher:
    """A copy of a trained network whose weights never change."""

    def __init__(self, network: nn.Module, distance: Distance, remember: int) -> None:
        self.network = deep_copy(network).eval().requires_grad_(False)
        self._distance, self._remember = distance, remember
        self._known: OrderedDict[bytes, Any] = OrderedDict()

    def output(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, branches: bool = False) -> Any:
        """Return the teacher's output, computed on the device of the inputs.

        Args:
            args: Inputs by position.
            kwargs: Inputs by name.
            branches: Whether parts that run in training only run too; layers stay in evaluation mode.
        """
        first = next(tensors_in([args, kwargs]), None)
        if first is not None and first.device != next(self.network.parameters(), first).device:
            self.network.to(first.device)
        key = _content(([args, branches], kwargs) if branches else (args, kwargs)) if self._remember else None
        if key is not None and key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        # Whether it is remembered or not, its random numbers are the same, and the network's too.
        with torch.random.fork_rng(cuda_devices()), torch.no_grad():
            seed_torch(0)
            with as_told(self.network, Inputs((), training=branches)):
                output = self.network(*args, **kwargs)
        if key is not None:
            self._known[key] = output
            if len(self._known) > self._remember:
                self._known.popitem(last=False)
        return output

    def distance(self, output: Any, target: Any) -> Tensor:
        """Return how far an output is from the teacher's."""
        pairs = _pairs(output, target)
        if not pairs:
            got, wanted = _numbers_in(output), _numbers_in(target)
            if not got:
                raise InputError(
                    "teacher: expected a network that returns a floating-point tensor with dimensions, which "
                    "the teacher's can be compared with, got none. Let forward return its predictions too, "
                    "beside the loss for instance, or train without a teacher: asng.compress(teaching=0.0)."
                )
            raise InputError(
                "teacher: expected an output with a tensor of the same shape as the network's, got "
                f"{[tuple(t.shape) for t in wanted]} for {[tuple(t.shape) for t in got]}. Give the model "
                "that the network was made of."
            )
        return torch.stack([self._distance(a, b.to(a.dtype)) for a, b in pairs]).mean()


class _Heard:
    """Runs a network, and the teacher on the inputs of each call."""

    def __init__(self, forward: Forward, teacher: _Teacher) -> None:
        self._forward, self._teacher = forward, teacher
        self.distances: list[Tensor] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The teacher may pop something from a mapping that the network must still find there.
        given, again = (
            (tuple(map(own_copy, args)), {k: own_copy(v) for k, v in kwargs.items()}) for _ in range(2)
        )
        target = self._teacher.output(*given)
        output = self._forward(*args, **kwargs)
        if not _pairs(output, target):  # such as that of an auxiliary head, which runs in training only
            target = self._teacher.output(*again, branches=True)
        self.distances.append(self._teacher.distance(output, target))
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forward, name)

    def following(self) -> AbstractContextManager[Any]:
        """Give the network itself, a plain one too."""
        return running(self._forward)

    @property
    def calls(self) -> int:
        return len(self.distances)


def _pairs(output: Any, target: Any) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors of an output that have the shape of the teacher's, with the teacher's."""
    got, wanted = _numbers_in(output), _numbers_in(target)
    pairs = zip(got, wanted, strict=True) if len(got) == len(wanted) else ()
    return [(a, b) for a, b in pairs if a.shape == b.shape]


def _numbers_in(output: Any) -> list[Tensor]:
    return [t for t in tensors_in(output) if t.ndim and t.is_floating_point()]
