"""Stacks of Transformer layers."""

from typing import TYPE_CHECKING, Any

from torch import nn

from asng.errors import InputError
from asng.nn.base import Extraction
from asng.nn.layers.plain import owning, shell
from asng.nn.layers.sizes import Size, largest, variables_among
from asng.nn.layers.subclasses import plain_class
from asng.nn.layers.twin import Twin

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TransformerDecoder", "TransformerEncoder"]


class TransformerEncoder(Twin, nn.TransformerEncoder):
    """torch.nn.TransformerEncoder whose layers may be searchable, and their number a variable.

    Its layers are copies of the given one, as in torch. All layers share the variables that have a label; a
    variable without a label becomes one variable per layer.

    Differs: padded sequences are not packed into nested tensors, which only torch's fused function needs.

    Args:
        encoder_layer: A layer, searchable or plain.
        num_layers: Number of layers, at least 1; the first ones run.
        norm: A norm after the last layer, or None.

    Raises:
        InputError: The number of layers is not an integer >= 1.
        SpaceError: A variable may be something other than an integer >= 1.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet, TransformerEncoderLayer
        >>> from asng.space import Categorical, Integer
        >>> layer = TransformerEncoderLayer(16, Categorical([1, 2, 4], label="heads"), 32, batch_first=True)
        >>> encoder = TransformerEncoder(layer, Integer(1, 3, label="depth"))
        >>> supernet, a = Supernet(encoder), {"depth": 2, "heads": 4}
        >>> supernet(torch.ones(2, 5, 16), architecture=a).shape
        torch.Size([2, 5, 16])
        >>> len(supernet.extract(a, example=torch.ones(2, 5, 16)).layers)
        2
    """

    def __init__(self, encoder_layer: nn.Module, num_layers: Size, norm: nn.Module | None = None) -> None:
        most = largest("num_layers", num_layers)
        nn.TransformerEncoder.__init__(self, encoder_layer, most, norm, enable_nested_tensor=False)  # type: ignore[arg-type]
        self.search_variables = variables_among(num_layers=num_layers)

    @classmethod
    def of(cls, layer: nn.Module, **arguments: Any) -> "Self":
        """Return a twin of an existing stack, with its own layers; `num_layers` may be a variable."""
        return _of(cls, layer, **arguments)  # type: ignore[no-any-return]

    def plain(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain stack of the first layers; the inputs do not matter."""
        return _plain(self)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain stack with the plain forms of the layers that run."""
        return owning(_plain(self), self, extraction.copy)


class TransformerDecoder(Twin, nn.TransformerDecoder):
    """torch.nn.TransformerDecoder whose number of layers may be a variable; see `TransformerEncoder`.

    Example:
        >>> import torch
        >>> from asng.nn import Supernet, TransformerDecoderLayer
        >>> from asng.space import Integer
        >>> layer = TransformerDecoderLayer(16, 4, Integer(8, 32, label="hidden"), batch_first=True)
        >>> x, memory, a = torch.ones(2, 5, 16), torch.ones(2, 3, 16), {"depth": 1, "hidden": 9}
        >>> supernet = Supernet(TransformerDecoder(layer, Integer(1, 3, label="depth")))
        >>> supernet(x, memory, architecture=a).shape
        torch.Size([2, 5, 16])
    """

    def __init__(self, decoder_layer: nn.Module, num_layers: Size, norm: nn.Module | None = None) -> None:
        nn.TransformerDecoder.__init__(self, decoder_layer, largest("num_layers", num_layers), norm)  # type: ignore[arg-type]
        self.search_variables = variables_among(num_layers=num_layers)

    @classmethod
    def of(cls, layer: nn.Module, **arguments: Any) -> "Self":
        """Return a twin of an existing stack, with its own layers; `num_layers` may be a variable."""
        return _of(cls, layer, **arguments)  # type: ignore[no-any-return]

    def plain(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Return the plain stack of the first layers; the inputs do not matter."""
        return _plain(self)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain stack with the plain forms of the layers that run."""
        return owning(_plain(self), self, extraction.copy)


def _of(kind: Any, stack: Any, *, num_layers: Size | None = None) -> Any:
    if not isinstance(stack, plain_class(kind)):
        raise InputError(f"{kind.__name__}.of: expected a torch {kind.__name__}, got {type(stack).__name__}.")
    given: Size = stack.num_layers if num_layers is None else num_layers
    if largest("num_layers", given) != stack.num_layers:
        raise InputError(
            f"{kind.__name__}.of: num_layers: expected one whose largest value is that of the stack, "
            f"{stack.num_layers}, got {given}."
        )
    twin = kind(stack.layers[0], given, stack.norm)
    twin.layers = stack.layers
    twin.training = stack.training
    return twin


def _plain(stack: Any) -> nn.Module:
    depth = stack.setting("num_layers")
    if depth == stack.num_layers:
        return stack  # type: ignore[no-any-return]
    layers = nn.ModuleList(list(stack.layers)[:depth])
    layers.training = stack.training
    return shell(stack, {}, {"num_layers": depth}, {**stack._modules, "layers": layers})
