"""The fully connected layer."""

import torch
from torch import Tensor, nn

from asng.nn.layers.plain import leading, shell
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Linear", "linear_part"]


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
        sizes = largest("in_features", in_features), largest("out_features", out_features)
        nn.Linear.__init__(self, *sizes, bias=bias, device=device, dtype=dtype)
        self.search_variables = variables_among(out_features=out_features)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer for an input (..., features)."""
        width = self.width(input, -1, self.in_features, "in_features")
        return linear_part(self, width, self.setting("out_features"))


def linear_part(source: nn.Linear, width: int, out: int) -> nn.Module:
    """Return a layer of fewer features over the weights of a larger one, that one where none are fewer."""
    if width == source.in_features and out == source.out_features:
        return source
    weight, bias = source.weight, source.bias
    weights = {
        "weight": leading(weight, out, width),
        "bias": None if bias is None else leading(bias, out),
    }
    return shell(source, weights, {"in_features": width, "out_features": out})
