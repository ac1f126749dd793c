"""Normalisation of each item, over its features or over groups of channels."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.errors import InputError
from asng.nn.layers.plain import PLANS, Plan, cut_of, planned, vector_plan
from asng.nn.layers.sizes import Size, check_plain, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm", "layer_norm_part"]


class LayerNorm(Twin, nn.LayerNorm):
    """torch.nn.LayerNorm over the last dimensions of its input, as wide as these are.

    Args:
        normalized_shape: The largest last dimension, or the largest last dimensions.
        eps: As in torch.
        elementwise_affine: As in torch.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.

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
        check_plain(eps=eps, elementwise_affine=elementwise_affine, bias=bias, device=device, dtype=dtype)
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        most = [largest("normalized_shape", size) for size in sizes]
        nn.LayerNorm.__init__(self, most, eps, elementwise_affine, bias, device=device, dtype=dtype)
        self.search_variables = {}

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (..., *features)."""
        return _plan(self.normalized_shape, _last_dimensions(self, input))

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current sizes."""
        shape = _last_dimensions(self, input)
        weight, bias = _plan(self.normalized_shape, shape).parts(self.weight, self.bias)
        return functional.layer_norm(input, shape, weight, bias, self.eps)


def _last_dimensions(layer: Any, x: Tensor | None) -> tuple[int, ...]:
    most: tuple[int, ...] = layer.normalized_shape
    dims = len(most)
    if x is None or x.shape[-dims:] == most:
        return most
    return tuple(layer.width(x, i - dims, size, "normalized_shape") for i, size in enumerate(most))


def layer_norm_part(source: nn.LayerNorm, width: int) -> nn.Module:
    """Return a norm over fewer features, with the weights of `source`, or `source` if none are fewer."""
    return planned(source, _plan(source.normalized_shape, (width,)))


@lru_cache(maxsize=PLANS)
def _plan(most: tuple[int, ...], shape: tuple[int, ...]) -> Plan:
    cut = cut_of(most, shape)
    return Plan({"normalized_shape": shape}, {"weight": cut, "bias": cut}, shape == most)


class RMSNorm(Twin, nn.RMSNorm):
    """torch.nn.RMSNorm over the last dimensions of its input, as wide as these are.

    Args:
        normalized_shape: The largest last dimension, or the largest last dimensions.
        eps: As in torch.
        elementwise_affine: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.

    Example:
        >>> RMSNorm(8)(torch.randn(4, 5)).shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        normalized_shape: Size | Sequence[Size],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(eps=eps, elementwise_affine=elementwise_affine, device=device, dtype=dtype)
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else [normalized_shape]
        most = [largest("normalized_shape", size) for size in sizes]
        nn.RMSNorm.__init__(self, most, eps, elementwise_affine, device=device, dtype=dtype)
        self.search_variables = {}

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (..., *features)."""
        return _plan(self.normalized_shape, _last_dimensions(self, input))

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current sizes."""
        shape = _last_dimensions(self, input)
        weight, _ = _plan(self.normalized_shape, shape).parts(self.weight, None)
        return functional.rms_norm(input, shape, weight, self.eps)


class GroupNorm(Twin, nn.GroupNorm):
    """torch.nn.GroupNorm as wide as its input; the number of groups may be a variable.

    Args:
        num_groups: Number of groups; the number of input channels must always be a multiple of it.
        num_channels: Largest number of input channels.
        eps: As in torch.
        affine: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may be something other than an integer >= 1.

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
        check_plain(eps=eps, affine=affine, device=device, dtype=dtype)
        groups, most = largest("num_groups", num_groups), largest("num_channels", num_channels)
        if not variables_among(num_groups=num_groups) and most % groups:
            raise InputError(f"num_channels: expected a multiple of num_groups = {groups}, got {most}.")
        # The largest number of groups need not divide the largest width, which torch would check.
        nn.GroupNorm.__init__(self, 1, most, eps, affine, device=device, dtype=dtype)
        self.num_groups = groups
        self.search_variables = variables_among(num_groups=num_groups)

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, ...)."""
        most = self.num_channels
        width, groups = self.width(input, 1, most, "num_channels"), self.setting("num_groups")
        if width % groups:
            raise InputError(
                f"{self.described()}: expected input channels in multiples of num_groups = {groups}, got "
                f"{width}. Give the width a step of {groups}."
            )
        return _group_plan((most, self.num_groups), width, groups)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise like torch's layer of the current sizes."""
        plan = self.plan(input)
        weight, bias = plan.parts(self.weight, self.bias)
        return functional.group_norm(input, plan.sizes["num_groups"], weight, bias, self.eps)  # type: ignore[arg-type]


@lru_cache(maxsize=PLANS)
def _group_plan(most: tuple[int, int], width: int, groups: int) -> Plan:
    plan = vector_plan("num_channels", most[0], width)
    return Plan({**plan.sizes, "num_groups": groups}, plan.cuts, (width, groups) == most)
