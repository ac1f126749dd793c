"""Fully connected layers, and the activation that has weights."""

import torch
from torch import Tensor, nn

from asng.nn.layers.plain import leading, shell
from asng.nn.layers.sizes import Size, check_plain, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Bilinear", "Linear", "PReLU", "linear_part"]


class Linear(Twin, nn.Linear):
    """torch.nn.Linear whose number of output features may be a variable.

    Args:
        in_features: The most features that an input may have.
        out_features: Features of the output.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1.
        SpaceError: A variable stands for something else than integers >= 1.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> hidden = Linear(4, Integer(2, 16, label="hidden"))
        >>> supernet = Supernet(nn.Sequential(hidden, nn.ReLU(), Linear(16, 3)))
        >>> supernet(torch.ones(5, 4), architecture={"hidden": 7}).shape
        torch.Size([5, 3])
        >>> supernet.extract({"hidden": 7}, example=torch.ones(5, 4))[2]
        Linear(in_features=7, out_features=3, bias=True)
    """

    def __init__(
        self,
        in_features: Size,
        out_features: Size,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(bias=bias, device=device, dtype=dtype)
        sizes = largest("in_features", in_features), largest("out_features", out_features)
        nn.Linear.__init__(self, *sizes, bias=bias, device=device, dtype=dtype)
        self.search_variables = variables_among(out_features=out_features)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (..., features)."""
        width = self.width(input, -1, self.in_features, "in_features")
        return linear_part(self, width, self.setting("out_features"))


def linear_part(source: nn.Linear, width: int, out: int) -> nn.Module:
    """Return a layer of fewer features over the weights of a larger one, that one if none are fewer."""
    if width == source.in_features and out == source.out_features:
        return source
    weight, bias = source.weight, source.bias
    weights = {
        "weight": leading(weight, out, width),
        "bias": None if bias is None else leading(bias, out),
    }
    return shell(source, weights, {"in_features": width, "out_features": out})


class Bilinear(Twin, nn.Bilinear):
    """torch.nn.Bilinear whose number of output features may be a variable.

    Args:
        in1_features: The most features that the first input may have.
        in2_features: The most features that the second input may have.
        out_features: Features of the output.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1.
        SpaceError: A variable stands for something else than integers >= 1.

    Example:
        >>> from asng.nn import Supernet
        >>> from asng.space import Integer
        >>> pair = Bilinear(4, 6, Integer(2, 8, label="out"))
        >>> Supernet(pair)(torch.ones(3, 4), torch.ones(3, 5), architecture={"out": 7}).shape
        torch.Size([3, 7])
    """

    def __init__(
        self,
        in1_features: Size,
        in2_features: Size,
        out_features: Size,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(bias=bias, device=device, dtype=dtype)
        widths = largest("in1_features", in1_features), largest("in2_features", in2_features)
        nn.Bilinear.__init__(
            self, *widths, largest("out_features", out_features), bias=bias, device=device, dtype=dtype
        )
        self.search_variables = variables_among(out_features=out_features)

    def plain(self, input1: Tensor | None = None, input2: Tensor | None = None) -> nn.Module:
        """Return the plain layer for two inputs (..., features)."""
        sizes = {
            "in1_features": self.width(input1, -1, self.in1_features, "in1_features"),
            "in2_features": self.width(input2, -1, self.in2_features, "in2_features"),
            "out_features": self.setting("out_features"),
        }
        first, second, out = sizes.values()
        if (out, first, second) == tuple(self.weight.shape):
            return self
        weights = {
            "weight": leading(self.weight, out, first, second),
            "bias": None if self.bias is None else leading(self.bias, out),
        }
        return shell(self, weights, sizes)


class PReLU(Twin, nn.PReLU):
    """torch.nn.PReLU of the width of its input.

    Args:
        num_parameters: The most channels that an input may have, or 1 for one slope for all.
        init: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is no integer >= 1.

    Example:
        >>> PReLU(8)(-torch.ones(2, 5)).tolist()[0]
        [-0.25, -0.25, -0.25, -0.25, -0.25]
    """

    def __init__(
        self,
        num_parameters: Size = 1,
        init: float = 0.25,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_plain(init=init, device=device, dtype=dtype)
        nn.PReLU.__init__(self, largest("num_parameters", num_parameters), init, device=device, dtype=dtype)
        self.search_variables = {}

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (batch, channels, ...)."""
        if self.num_parameters == 1 or input is None or input.ndim < 2:
            return self
        width = self.width(input, 1, self.num_parameters, "num_parameters")
        if width == self.num_parameters:
            return self
        return shell(self, {"weight": leading(self.weight, width)}, {"num_parameters": width})
