"""Dropout at a searched rate."""

from torch import Tensor, nn
from torch.nn import functional

from asng.nn.layers.plain import shell
from asng.nn.layers.sizes import Rate, check_plain, rate_range, variables_among
from asng.nn.layers.twin import Twin

__all__ = ["Dropout"]


class Dropout(Twin, nn.Dropout):
    """torch.nn.Dropout whose rate may be a variable.

    The variable is active in training mode only: in evaluation nothing is dropped, so that a score says
    nothing about the rate. So a one-shot search, which scores in evaluation mode, leaves the distribution of
    the rate as it was. A search by ask and tell that trains every candidate by itself does update it.

    Args:
        p: Rate in [0, 1].
        inplace: As in torch.

    Raises:
        SpaceError: The rate may lie outside [0, 1].

    Example:
        >>> import torch
        >>> from asng.nn import Supernet
        >>> from asng.space import Real
        >>> supernet = Supernet(Dropout(Real(0.0, 0.5, label="rate")))
        >>> supernet.extract({"rate": 0.2}, example=torch.ones(3))
        Dropout(p=0.2, inplace=False)
    """

    def __init__(self, p: Rate = 0.5, inplace: bool = False) -> None:
        check_plain(inplace=inplace)
        nn.Dropout.__init__(self, rate_range("p", p), inplace)
        self.search_variables = variables_among(p=p)

    def plain(self, input: Tensor | None = None) -> nn.Module:
        """Return the plain layer; the input does not matter."""
        rate = self._rate()
        return self if rate == self.p else shell(self, {}, {"p": rate})

    def forward(self, input: Tensor) -> Tensor:
        """Drop like torch's layer of the current rate."""
        return functional.dropout(input, self._rate(), self.training, self.inplace)

    def _rate(self) -> float:
        return float(self.setting("p", note=self.training))
