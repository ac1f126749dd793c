"""Normalisation of each channel, over the batch or over each item."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.errors import InputError
from asng.nn.layers.plain import Plan, vector_plan
from asng.nn.layers.sizes import Size, check_plain, largest
from asng.nn.layers.twin import Twin

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "SyncBatchNorm",
]

AVERAGES = ("running_mean", "running_var", "num_batches_tracked")
"""Names of the buffers in which torch's layers keep averages of batches."""


class BatchNorm1d(Twin, nn.BatchNorm1d):
    """torch.nn.BatchNorm1d as wide as its input; see `BatchNorm2d` for arguments and errors.

    Example:
        >>> BatchNorm1d(8)(torch.randn(16, 5)).shape
        torch.Size([16, 5])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.BatchNorm1d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        _forget_averages(self)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, features) or (batch, channels, length)."""
        return _plan(self, input, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current width."""
        return _normalised(self, nn.BatchNorm1d, input)


class BatchNorm2d(Twin, nn.BatchNorm2d):
    """torch.nn.BatchNorm2d as wide as its input, which always normalises by the current batch.

    Running averages of a supernet would mix all the children that passed through it, and each child would be
    scored with the statistics of the others. So there are none here, in training and in evaluation. The child
    has none either, and computes the same, until `asng.training.train` trains it or
    `asng.training.recalibrate` gives it averages of its own (Guo et al., 2020, Single Path One-Shot NAS,
    section 3.1). The `result.child` of a search has them.

    Differs: there are no running averages. Loading a state dict of torch's layer skips its averages.

    Args:
        num_features: Largest number of input channels.
        eps: As in torch.
        momentum: As in torch, for the child when it is recalibrated or trained further.
        affine: As in torch.
        track_running_stats: Must be False.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1, or `track_running_stats` is set.

    Example:
        >>> BatchNorm2d(8)(torch.randn(4, 5, 2, 2)).shape
        torch.Size([4, 5, 2, 2])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.BatchNorm2d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        _forget_averages(self)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, height, width)."""
        return _plan(self, input, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current width."""
        return _normalised(self, nn.BatchNorm2d, input)


class BatchNorm3d(Twin, nn.BatchNorm3d):
    """torch.nn.BatchNorm3d as wide as its input; see `BatchNorm2d` for arguments and errors.

    Example:
        >>> BatchNorm3d(8)(torch.randn(4, 5, 2, 2, 2)).shape
        torch.Size([4, 5, 2, 2, 2])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.BatchNorm3d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        _forget_averages(self)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, depth, height, width)."""
        return _plan(self, input, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current width."""
        return _normalised(self, nn.BatchNorm3d, input)


class SyncBatchNorm(Twin, nn.SyncBatchNorm):
    """torch.nn.SyncBatchNorm as wide as its input; see `BatchNorm2d` and torch for arguments.

    Example:
        >>> SyncBatchNorm(8)(torch.randn(4, 5, 2)).shape
        torch.Size([4, 5, 2])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = False,
        process_group: Any = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.SyncBatchNorm.__init__(
            self, most, eps, momentum, affine, False, process_group, device=device, dtype=dtype
        )
        _forget_averages(self)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, ...)."""
        return _plan(self, input, 1)


class InstanceNorm1d(Twin, nn.InstanceNorm1d):
    """torch.nn.InstanceNorm1d as wide as its input; see `InstanceNorm2d` for arguments and errors.

    Example:
        >>> InstanceNorm1d(8, affine=True)(torch.randn(4, 5, 7)).shape
        torch.Size([4, 5, 7])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.InstanceNorm1d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        self.search_variables = {}

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, length), or one without batch."""
        return _plan(self, input, -2)


class InstanceNorm2d(Twin, nn.InstanceNorm2d):
    """torch.nn.InstanceNorm2d as wide as its input.

    Args:
        num_features: Largest number of input channels.
        eps: As in torch.
        momentum: As in torch; has no effect without running averages.
        affine: As in torch.
        track_running_stats: Must be False, since averages would mix all the children that pass.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1, or `track_running_stats` is set.

    Example:
        >>> InstanceNorm2d(8, affine=True)(torch.randn(4, 5, 3, 3)).shape
        torch.Size([4, 5, 3, 3])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.InstanceNorm2d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        self.search_variables = {}

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, height, width), or one without batch."""
        return _plan(self, input, -3)


class InstanceNorm3d(Twin, nn.InstanceNorm3d):
    """torch.nn.InstanceNorm3d as wide as its input; see `InstanceNorm2d` for arguments and errors.

    Example:
        >>> InstanceNorm3d(8, affine=True)(torch.randn(4, 5, 2, 2, 2)).shape
        torch.Size([4, 5, 2, 2, 2])
    """

    def __init__(
        self,
        num_features: Size,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, momentum=momentum, affine=affine, device=device, dtype=dtype)
        most = _largest_width(num_features, track_running_stats)
        nn.InstanceNorm3d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        self.search_variables = {}

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, *sides), or one without batch."""
        return _plan(self, input, -4)


def _plan(layer: Any, x: Tensor | None, dim: int) -> Plan:
    most = layer.num_features
    return vector_plan("num_features", most, layer.width(x, dim, most, "num_features"))


def _normalised(
    layer: Any, torchs: type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d], x: Tensor
) -> Tensor:
    plan = layer.plan(x)
    if plan.whole:
        return torchs.forward(layer, x)
    if layer._buffers.get("running_mean") is not None:  # the user has given it averages
        return Twin.forward(layer, x)  # type: ignore[no-any-return]
    layer._check_input_dim(x)
    weight, bias = plan.parts(layer.weight, layer.bias)
    momentum = 0.0 if layer.momentum is None else layer.momentum
    return functional.batch_norm(x, None, None, weight, bias, True, momentum, layer.eps)


def _largest_width(num_features: Size, track: bool) -> int:
    check_plain(track_running_stats=track)
    if track:
        raise InputError(
            "track_running_stats: expected False, because running averages would mix all children, got True. "
            "A child gets averages of its own by asng.training.recalibrate(child, loader)."
        )
    return largest("num_features", num_features)


def _forget_averages(layer: Any) -> None:
    """Make loading skip the running averages in a state dict of torch's layer."""
    layer.search_variables = {}
    layer._register_load_state_dict_pre_hook(_without_averages)  # the public way would keep the layer itself


def _without_averages(state: dict[str, Any], prefix: str, *_: object) -> None:
    for name in AVERAGES:
        state.pop(prefix + name, None)
