"""Batch normalisation."""

from typing import Any

import torch
from torch import Tensor, nn

from asng.errors import InputError
from asng.nn.plain import leading, shell
from asng.nn.sizes import Size, largest
from asng.nn.twin import Twin

__all__ = ["BatchNorm1d", "BatchNorm2d"]

_AVERAGES = ("running_mean", "running_var", "num_batches_tracked")


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
        _refuse_averages(track_running_stats)
        most = largest("num_features", num_features)
        nn.BatchNorm1d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        self.search_variables = {}
        self.register_load_state_dict_pre_hook(_without_averages)  # type: ignore[no-untyped-call]

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, features) or (batch, channels, length)."""
        return _plain(self, input)


class BatchNorm2d(Twin, nn.BatchNorm2d):
    """torch.nn.BatchNorm2d of the width of its input, which always normalises by the batch at hand.

    Running averages of a supernet would mix all the children that passed through it, and each child would be
    scored by the statistics of the others. So there are none here, in training and in evaluation. The child
    has none either, and computes the same, until `asng.search.recalibrate` gives it averages of its own
    (Guo et al., 2020, Single Path One-Shot NAS, section 3.1), as `result.child` of a search has them, or
    until it is trained by `asng.search.train`.

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
        _refuse_averages(track_running_stats)
        most = largest("num_features", num_features)
        nn.BatchNorm2d.__init__(self, most, eps, momentum, affine, False, device=device, dtype=dtype)
        self.search_variables = {}
        self.register_load_state_dict_pre_hook(_without_averages)  # type: ignore[no-untyped-call]

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, channels, height, width)."""
        return _plain(self, input)


def _plain(layer: BatchNorm1d | BatchNorm2d, x: Tensor | None) -> nn.Module:
    width = layer.width(x, 1, layer.num_features, "num_features")
    if width == layer.num_features:
        return layer
    parameters = {name: p if p is None else leading(p, width) for name, p in layer._parameters.items()}
    return shell(layer, parameters, {"num_features": width})


def _refuse_averages(track: bool) -> None:
    if track:
        raise InputError(
            "track_running_stats: expected False, because averages would mix all the children that pass, got "
            "True. A child gets averages of its own by asng.search.recalibrate(child, loader)."
        )


def _without_averages(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    for name in _AVERAGES:
        state.pop(prefix + name, None)
