"""Fully connected layers, and PReLU, the activation that has weights."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from asng.nn.layers.plain import PLANS, Plan, cut_of, planned, vector_plan
from asng.nn.layers.sizes import Size, check_plain, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Bilinear", "Linear", "PReLU", "linear_part"]


class Linear(Twin, nn.Linear):
    """torch.nn.Linear whose number of output features may be a variable.

    Args:
        in_features: Largest number of input features.
        out_features: Number of output features.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may be something other than an integer >= 1.

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

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (..., features)."""
        width = self.width(input, -1, self.in_features, "in_features")
        return _linear_plan(self.out_features, self.in_features, self.setting("out_features"), width)

    def forward(self, input: Tensor) -> Tensor:
        """Compute like torch's layer of the current sizes."""
        return functional.linear(input, *self.plan(input).parts(self.weight, self.bias))  # type: ignore[arg-type]


def linear_part(source: nn.Linear, width: int, out: int) -> nn.Module:
    """Return a layer of fewer features over the weights of `source`, or `source` itself if none are fewer."""
    return planned(source, _linear_plan(source.out_features, source.in_features, out, width))


@lru_cache(maxsize=PLANS)
def _linear_plan(most_out: int, most: int, out: int, width: int) -> Plan:
    cuts = {"weight": cut_of((most_out, most), (out, width)), "bias": cut_of((most_out,), (out,))}
    return Plan({"in_features": width, "out_features": out}, cuts, (out, width) == (most_out, most))


class Bilinear(Twin, nn.Bilinear):
    """torch.nn.Bilinear whose number of output features may be a variable.

    Args:
        in1_features: Largest number of features of the first input.
        in2_features: Largest number of features of the second input.
        out_features: Number of output features.
        bias: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.
        SpaceError: A variable may be something other than an integer >= 1.

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

    def plan(self, input1: Tensor | None = None, input2: Tensor | None = None) -> Plan:
        """Return the plan for two inputs (..., features)."""
        first = self.width(input1, -1, self.in1_features, "in1_features")
        second = self.width(input2, -1, self.in2_features, "in2_features")
        return _bilinear_plan(self.weight.shape, (self.setting("out_features"), first, second))


@lru_cache(maxsize=PLANS)
def _bilinear_plan(most: tuple[int, ...], sizes: tuple[int, ...]) -> Plan:
    names = ("out_features", "in1_features", "in2_features")
    cuts = {"weight": cut_of(most, sizes), "bias": cut_of(most[:1], sizes[:1])}
    return Plan(dict(zip(names, sizes, strict=True)), cuts, sizes == most)


class PReLU(Twin, nn.PReLU):
    """torch.nn.PReLU as wide as its input.

    Args:
        num_parameters: Largest number of input channels, or 1 for one slope for all.
        init: As in torch.
        device: As in torch.
        dtype: As in torch.

    Raises:
        InputError: A size is not an integer >= 1.

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

    def plan(self, input: Tensor | None = None) -> Plan:
        """Return the plan for an input (batch, channels, ...)."""
        most = self.num_parameters
        shared = most == 1 or input is None or input.ndim < 2
        return vector_plan(
            "num_parameters", most, most if shared else self.width(input, 1, most, "num_parameters")
        )
