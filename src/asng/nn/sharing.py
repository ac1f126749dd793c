"""What the modules of a supernet must not share: weights of twins, and tensors changed in place."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from asng.errors import SpaceError
from asng.nn.twin import Twin

__all__ = ["check_weights_unshared", "versions"]


def check_weights_unshared(model: nn.Module) -> None:
    """Raise where a weight of a twin is a weight of another module too.

    Both would cut their own part out of it, and a child, whose parts are copies, could not keep them tied.

    Raises:
        SpaceError: One is.
    """
    owners: dict[int, str] = {}
    cut = {id(p) for twin in model.modules() if isinstance(twin, Twin) for p in twin.parameters()}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in cut:
                continue
            here = f"{path}.{name}" if path else name
            other = owners.setdefault(id(parameter), here)
            if other != here:
                raise SpaceError(
                    f"{here}: expected a weight of this layer alone, got the one of {other}. Searchable "
                    "layers cannot tie their weights: call one layer twice, or give each a weight."
                )


def versions(inputs: Iterable[Any]) -> list[int]:
    """Return how often each tensor among the inputs has been changed in place; 0 where torch does not count.

    Example:
        >>> import torch
        >>> x = torch.ones(2)
        >>> before = versions([x, "no tensor"])
        >>> _ = x.add_(1)
        >>> before, versions([x, "no tensor"])
        ([0], [1])
    """
    return [0 if x.is_inference() else x._version for x in inputs if isinstance(x, Tensor)]
