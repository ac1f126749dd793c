"""How a found classifier is trained alone (Akimoto et al., 2019, section 5.2, after DARTS and ENAS)."""

from collections.abc import Callable

from torch import Tensor, nn

from asng.search import Loss, supervised
from asng.space import Architecture
from asng.supernets import set_drop_path
from asng.tasks.classification.settings import ClassificationSettings
from asng.tasks.recipe import Recipe

__all__ = ["classification_recipe"]


def classification_recipe(
    settings: ClassificationSettings, build: Callable[[Architecture], nn.Module]
) -> Recipe:
    """Return the recipe with auxiliary head and drop path, as far as the settings have them.

    The rate of drop path grows linearly with the steps.

    Args:
        settings: Say the rate, and the weight of the head.
        build: Makes the model that is trained, with both.
    """
    rate = settings.drop_path

    def before_step(network: nn.Module, done: int, steps: int) -> None:
        set_drop_path(network, rate * done / steps)

    return Recipe(
        build=build if rate or settings.auxiliary else None,
        loss=_with_auxiliary(settings.auxiliary) if settings.auxiliary else None,
        before_step=before_step if rate else None,
    )


def _with_auxiliary(weight: float) -> Loss:
    """Return the cross entropy of both heads, the auxiliary one's times a weight."""

    def cross_entropies(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        logits, auxiliary = output
        cross_entropy = nn.functional.cross_entropy
        return cross_entropy(logits, target) + weight * cross_entropy(auxiliary, target)

    return supervised(cross_entropies)
