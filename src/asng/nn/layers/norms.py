"""Normalisation: of an item over its features or over groups of channels, of a channel over the batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asng.errors import InputError
from asng.nn.layers.plain import leading, shell
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["GroupNorm", "LayerNorm", "layer_norm_part", "BatchNorm1d", "BatchNorm2d"]


class LayerNorm(Twin, nn.LayerNorm):
    """torch.nn.LayerNorm over the last dimensions of its input, as wide as they come.

    Args:
        normalized_shape: The largest last dimension, or the largest last dimensions.
        eps: As in torch.
        elementwise_affine: As in torch.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1.

    Example:
        >>> LayerNorm(8)(torch.randn(4, 5)).shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        normalized_shape: Size | Sequence[Size],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        most = [largest("normalized_shape", size) for size in sizes]
        nn.LayerNorm.__init__(self, most, eps, elementwise_affine, bias, device=device, dtype=dtype)
        self.search_variables = {}

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (..., *features)."""
        dims = len(self.normalized_shape)
        if input is not None and input.shape[-dims:] == self.normalized_shape:
            return self
        shape = tuple(
            self.width(input, i - dims, most, "normalized_shape")
            for i, most in enumerate(self.normalized_shape)
        )
        return layer_norm_part(self, shape)


def layer_norm_part(source: nn.LayerNorm, shape: tuple[int, ...]) -> nn.Module:
    """Return a layer norm over smaller dimensions with the weights of a larger one, that one if none are."""
    if shape == source.normalized_shape:
        return source
    weights = {name: p if p is None else leading(p, *shape) for name, p in source._parameters.items()}
    return shell(source, weights, {"normalized_shape": shape})


class GroupNorm(Twin, nn.GroupNorm):
    """torch.nn.GroupNorm of the width of its input; the number of groups may be a variable.

    Args:
        num_groups: Groups of channels; every width that comes must be a multiple.
        num_channels: The most channels that an input may have.
        eps: As in torch.
        affine: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1.
        SpaceError: A variable stands for something else than integers >= 1.

    Example:
        >>> GroupNorm(2, 8)(torch.randn(4, 6, 3)).shape
        torch.Size([4, 6, 3])
    """

    def __init__(
        self,
        num_groups: Size,
        num_channels: Size,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        groups, most = largest("num_groups", num_groups), largest("num_channels", num_channels)
        if not variables_among(num_groups=num_groups) and most % groups:
            raise InputError(f"num_channels: expected a multiple of num_groups = {groups}, got {most}.")
        # The greatest number of groups need not divide the greatest width: torch's check would be of that.
        nn.GroupNorm.__init__(self, 1, most, eps, affine, device=device, dtype=dtype)
        self.num_groups = groups
        self.search_variables = variables_among(num_groups=num_groups)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, channels, ...)."""
        width = self.width(input, 1, self.num_channels, "num_channels")
        groups = self.setting("num_groups")
        if width % groups:
            raise InputError(
                f"{self.described()}: expected input channels in multiples of num_groups = {groups}, got "
                f"{width}. Give the width a step of {groups}."
            )
        if width == self.num_channels and groups == self.num_groups:
            return self
        weights = {name: p if p is None else leading(p, width) for name, p in self._parameters.items()}
        return shell(self, weights, {"num_channels": width, "num_groups": groups})


class BatchNorm1d(Twin, nn.BatchNorm1d):
    """torch.nn.BatchNorm1d of the width of its input; arguments and errors as of `BatchNorm2d`.

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
        most = _largest_width(num_features, track_running_stats)
        nn.BatchNorm1d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        _forget_averages(self)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, features) or (batch, channels, length)."""
        return _plain(self, input)


class BatchNorm2d(Twin, nn.BatchNorm2d):
    """torch.nn.BatchNorm2d of the width of its input, which always normalises by the batch at hand.

    Running averages of a supernet would mix all the children that passed through it, and each child would be
    scored by the statistics of the others. So there are none here, in training and in evaluation. The child
    has none either, and computes the same, until `asng.training.recalibrate` gives it averages of its own
    (Guo et al., 2020, Single Path One-Shot NAS, section 3.1), as `result.child` of a search has them, or
    until it is trained by `asng.training.train`.

    Differs: there are no averages. Loading leaves out those of a state dict of torch's layer.

    Args:
        num_features: The most channels that an input may have.
        eps: As in torch.
        momentum: As in torch, for the child that is recalibrated and trained on.
        affine: As in torch.
        track_running_stats: False: there are none.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1, or `track_running_stats` is set.

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
        most = _largest_width(num_features, track_running_stats)
        nn.BatchNorm2d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        _forget_averages(self)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, channels, height, width)."""
        return _plain(self, input)


def _plain(layer: BatchNorm1d | BatchNorm2d, x: Tensor | None) -> nn.Module:
    width = layer.width(x, 1, layer.num_features, "num_features")
    if width == layer.num_features:
        return layer
    parameters = {name: p if p is None else leading(p, width) for name, p in layer._parameters.items()}
    return shell(layer, parameters, {"num_features": width})


def _largest_width(num_features: Size, track: bool) -> int:
    if track:
        raise InputError(
            "track_running_stats: expected False, because averages would mix all the children that pass, got "
            "True. A child gets averages of its own by asng.training.recalibrate(child, loader)."
        )
    return largest("num_features", num_features)


def _forget_averages(layer: BatchNorm1d | BatchNorm2d) -> None:
    """Leave the averages of a state dict of torch's layer out."""
    layer.search_variables = {}
    layer.register_load_state_dict_pre_hook(_without_averages)  # type: ignore[no-untyped-call]


def _without_averages(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        state.pop(prefix + name, None)
