"""Batch norm over a batch whose parts lie in several processes.

A search normalises by the batch at hand, and that is the whole batch, not the share of one process. Torch's
SyncBatchNorm computes the same, on CUDA only and in modules of its own class; here every call of
`torch.nn.functional.batch_norm` is met, whichever module it comes from, also where a backward pass runs
modules again (torch.utils.checkpoint).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["SharedNorms"]

Explained: TypeAlias = Callable[[], AbstractContextManager[None]]

_plain = functional.batch_norm
_BACKWARD = (Tensor.backward, torch.autograd.backward, torch.autograd.grad)


class SharedNorms(TorchFunctionMode):
    """While it is entered, batch norms in training use the statistics of all processes together.

    All processes must call the same batch norms in the same order, forward and backward.

    Args:
        explained: Returns a context in which failures of communication become errors that say what to do.
    """

    def __init__(self, explained: Explained) -> None:
        super().__init__()
        self.explained = explained

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Take the place of batch norm, and let all else be."""
        if func is _plain:
            return _batch_norm(self.explained, *args, **(kwargs or {}))
        if func in _BACKWARD:  # in which torch leaves this mode
            with self._in_place():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Put the shared batch norm where modules look for torch's."""
        functional.batch_norm = partial(_batch_norm, self.explained)
        try:
            yield
        finally:
            functional.batch_norm = _plain


def _batch_norm(
    explained: Explained,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what `torch.nn.functional.batch_norm` does, for all processes together."""
    if not training:
        return _plain(input, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, var, count = _statistics(input, explained)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
    exact = torch.float64 if input.dtype == torch.float64 else torch.float32
    normed: Tensor = _Normed.apply(input, weight, bias, mean.to(exact), var.to(exact), eps, count, explained)  # type: ignore[no-untyped-call]
    return normed


@torch.no_grad()
def _statistics(x: Tensor, explained: Explained) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and (biased) variance of each channel over all processes, and how many values each had.

    Means of squares are of double precision, in which the squares of float32 lose nothing.
    """
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    # The sums of batch norm itself: torch.var_mean takes ten times as long, channels last.
    mean, var = torch.batch_norm_update_stats(values, None, None, 0.0)
    channels = len(mean)
    sums = torch.cat([mean, var, mean.new_ones(1)]).double()
    sums[channels:-1].addcmul_(sums[:channels], sums[:channels])
    sums *= x.numel() / channels
    with explained():
        dist.all_reduce(sums)
    means = sums / sums[-1]
    mean, square = means[:channels], means[channels:-1]
    return mean, torch.addcmul(square, mean, mean, value=-1.0).clamp_(min=0.0), sums[-1]


class _Normed(torch.autograd.Function):
    """Normalisation by given statistics, which depend on the input of all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        eps: float,
        count: Tensor,
        explained: Explained,
    ) -> Tensor:
        # Weights in the precision of the statistics, as torch wants them beside inputs of bfloat16.
        weight = None if weight is None else weight.to(mean.dtype)
        bias = None if bias is None else bias.to(mean.dtype)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps, ctx.explained = eps, explained
        return _normalised(x, weight, bias, mean, var, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        # dx = w / std (dy - mean(dy) - x' mean(dy x')), x' = (x - mean) / std, means over all processes.
        x, weight, mean, var, count = ctx.saved_tensors
        _, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, var, None, None, False, ctx.eps, [False, True, True]
        )
        sums = torch.cat([dweight, dbias])
        with ctx.explained():
            dist.all_reduce(sums)
        scale = (var + ctx.eps).rsqrt() * (1.0 if weight is None else weight)
        slope, offset = (sums / -count.to(sums.dtype)).chunk(2)
        dx = _normalised(x, scale * slope, scale * offset, mean, var, ctx.eps)
        scale = scale.view([1, -1, *(1 for _ in range(x.ndim - 2))])
        # With the scale in its own precision the sum has that too, where the input has less.
        dx = dx.addcmul_(dy, scale) if dx.dtype == scale.dtype else torch.addcmul(dx, dy, scale).to(dx.dtype)
        needs_weight, needs_bias = ctx.needs_input_grad[1:3]
        return dx, dweight if needs_weight else None, dbias if needs_bias else None, *(None,) * 5


def _normalised(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> Tensor:
    return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, torch.backends.cudnn.enabled)
