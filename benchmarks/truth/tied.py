"""One set of weights for an operation at all its positions, while the weights are shared."""

from torch import Tensor, nn, tensor

import asng

__all__ = ["Tied", "tied"]


class Tied(nn.Module):
    """A candidate that runs as the same operation of an earlier position, while it is tied.

    Whether it is stands in a buffer, so that it goes along with the weights: those that the search began
    with, from which finalists train alone, are untied.

    Args:
        own: The operation of this position.
        earlier: That of the first position.
    """

    on: Tensor

    def __init__(self, own: nn.Module, earlier: nn.Module) -> None:
        super().__init__()
        self.own, self._earlier = own, [earlier]  # in a list: it is a module of its own position
        self.register_buffer("on", tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        return self._earlier[0](x) if self.on else self.own(x)


def tied(model: nn.Module) -> nn.Module:
    """Tie candidates of the same name and the same shapes, from the first forward pass on."""
    first: dict[tuple, nn.Module] = {}
    for choice in (module for module in list(model.modules()) if isinstance(module, asng.nn.Choice)):
        for name, candidate in choice.candidates.items():
            shapes = tuple(value.shape for value in candidate.parameters())
            earlier = first.setdefault((name, shapes), candidate) if shapes else candidate
            if earlier is not candidate:
                choice.candidates[name] = Tied(candidate, earlier)

    def tie(model: nn.Module, _: object) -> None:
        hook.remove()
        for module in model.modules():
            if isinstance(module, Tied):
                module.on.fill_(True)

    hook = model.register_forward_pre_hook(tie)
    return model
