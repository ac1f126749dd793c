"""Settings of a search in the user's own model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asng.checks import real_between
from asng.errors import InputError

__all__ = ["UserSettings"]


@dataclass(frozen=True)
class UserSettings:
    """The model and the data by import path, the loss, and the objective to compare networks by.

    Args:
        model: The import path of a torch.nn.Module class under "import", and its arguments by name.
        data: The import path of a function that returns loaders, likewise; it gets the seed if it takes one.
        loss: Criterion of (output, target); a name without a dot is looked up in torch.nn.functional.
        batch_loss: Loss of (forward, batch), in place of --loss, for batches other than (input, target).
        maximize: Select and compare by the largest value of this function of (forward, batch), such as
            accuracy.
        minimize: Select and compare by the smallest value of this one; default: the loss.
        valid_share: Share of the training data that scores architectures, if there is no validation loader.
        baseline: The import path of a plain torch.nn.Module class, or of a function that returns one, under
            "import", and its arguments: a network to train and compare like the found one; default: none.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]
    loss: str = "torch.nn.functional.cross_entropy"
    batch_loss: str | None = None
    maximize: str | None = None
    minimize: str | None = None
    valid_share: float = 0.5
    baseline: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("model", "data", *(() if self.baseline is None else ("baseline",))):
            value = getattr(self, name)
            if not isinstance(value, Mapping) or not isinstance(value.get("import"), str):
                raise InputError(f"{name}: expected an import path under 'import', got {value!r}.")
        real_between("valid_share", self.valid_share, 0.0, 1.0)
