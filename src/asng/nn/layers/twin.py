"""What all twins of torch's layers have in common."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from asng.errors import InputError
from asng.nn.base import Extraction, Searchable
from asng.nn.layers.from_layer import twin_of
from asng.nn.layers.plain import Plan, draw_anew, owning, planned, shell
from asng.nn.layers.subclasses import definer, is_ours, overrides
from asng.space import SizeExpression, Variable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Twin", "parts_of"]


def parts_of(layer: nn.Module) -> dict[str, type]:
    """Return the paths of the parts of a layer, to their classes.

    Example:
        >>> parts_of(nn.Sequential(nn.ReLU()))
        {'0': <class 'torch.nn.modules.activation.ReLU'>}
    """
    return {path: type(part) for path, part in layer.named_modules() if path}


class Twin(Searchable):
    """A layer of torch some sizes of which an architecture decides.

    A twin *is* torch's layer of its largest size: the same arguments, initialisation, parameters, state
    dict, dtypes and devices. It runs as the plain layer of the sizes that the architecture names and of the
    width of the input that it receives, over the leading parts of its weights. Its child is that same plain
    layer with a copy of those parts, so that both compute the same to the last bit.

    A size that is the width of the input (`in_features`, `in_channels`, `num_features`, ...) is the largest
    that may come; a variable may stand there, but is not read: the input decides.

    Attributes:
        search_variables: Argument to the variable that was given for it, if one was.
    """

    forward_of_plain: Callable[..., Any]
    search_variables: dict[str, Variable | SizeExpression]
    search_parts: Mapping[str, type] = MappingProxyType({})
    """Paths of the parts whose weights a twin of several reads, to their classes."""

    search_own: bool = False
    """Whether a user's subclass changes what the layer does."""

    search_tied: bool = False
    """Whether other layers have its weights too, and it is known that all of them use the same parts."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a forward that a user's subclass defines run on the plain layer of the sizes at hand.

        There `super().forward` is the plain layer's, and `self.weight` the part that is used.
        """
        super().__init_subclass__(**kwargs)
        if not is_ours(cls) and is_ours(definer(cls, "extract")):
            if "forward" in vars(cls):
                cls.forward_of_plain = vars(cls)["forward"]
            cls.search_own = bool(overrides(cls))
        by_class = cls.__mro__.index
        own_plain = by_class(definer(cls, "plain")) < by_class(definer(cls, "forward"))
        if cls.search_own or own_plain:
            # A forward that knows what the plain layer computes is of a layer of ours alone.
            cls.forward = Twin.forward  # type: ignore[method-assign]

    @classmethod
    def of(cls, layer: nn.Module, **arguments: Any) -> "Self":
        """Return a twin from a plain layer that exists, with its weights and all that it was made with.

        To search a size of a trained model, put a twin in the place of one of its layers. The weights are the
        layer's own, not copies: what is tied to them stays tied, and an optimiser that has them keeps them.

        Args:
            layer: Of the class that this one is the twin of.
            **arguments: Those of the twin that are to be variables, by name; of a size, the largest value has
                to be the layer's.

        Raises:
            InputError: The layer is of another class or its forward is its own, an argument is unknown, or a
                largest value is not the layer's.

        Example:
            >>> from asng.nn import Linear
            >>> from asng.space import Integer
            >>> layer = nn.Linear(4, 8, bias=False).requires_grad_(False)
            >>> twin = Linear.of(layer, out_features=Integer(2, 8, label="width"))
            >>> twin.weight is layer.weight, twin.weight.requires_grad, twin.bias
            (True, False, None)
        """
        return twin_of(cls, layer, arguments)  # type: ignore[no-any-return]

    def variables(self) -> dict[str, Variable | SizeExpression]:
        """Return the variables, one slot an argument."""
        return dict(self.search_variables)

    def setting(self, slot: str, *, note: bool = True) -> Any:
        """Return the value of an argument: what the architecture holds for it, or the number given.

        Args:
            slot: Name of the argument.
            note: As in `value`.
        """
        return self.value(slot, note=note) if slot in self.search_variables else getattr(self, slot)

    def plain(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Return torch's layer of the current sizes, over parts of these weights; `self` if that is it.

        Args:
            *args: The inputs of a call, from which the widths are taken. Without any: the largest.
            **kwargs: The same, by name.
        """
        return planned(self, self.plan(*args, **kwargs))

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """Return the plan of the plain layer, for the same arguments.

        A layer whose `forward` is one function of torch calls that by its plan, and makes no other layer.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected plain or plan in every twin.")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the plain layer of the current sizes."""
        if torch.is_inference_mode_enabled():
            # torch.matmul computes differently, in the last bits, for weights that are inference tensors.
            with torch.inference_mode(False):
                layer = self.plain(*args, **kwargs)
        else:
            layer = self.plain(*args, **kwargs)
        if layer is self:
            # Nothing is cut, so that the twin is the plain layer already: then torch's own forward is to run.
            if not self.search_own:
                return super().forward(*args, **kwargs)
            layer = shell(self, self._parameters, {})
        return layer.forward(*args, **kwargs)

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain layer with weights of its own."""
        calls = extraction.calls(self)
        layers = [self.plain(*args, **kwargs) for args, kwargs in calls] or [self.plain()]
        shapes = [[tuple(p.shape) for p in layer.parameters()] for layer in layers]
        if any(other != shapes[0] for other in shapes):
            raise InputError(
                f"{self.described()}: expected inputs of one width, got several calls of different widths, "
                f"which need weights of shapes {shapes}. One plain layer cannot serve them: use two layers."
            )
        child = owning(layers[0], self, extraction.copy)
        if extraction.fresh and layers[0] is not self:
            extraction.later(partial(draw_anew, child))
        return child

    def width(self, x: Tensor | None, dim: int, most: int, name: str) -> int:
        """Return the size of an input along `dim`, or the largest one without an input.

        Raises:
            InputError: The input is wider than the layer.
        """
        if x is None:
            return most
        try:
            size = x.size(dim)
        except IndexError:
            raise InputError(
                f"{self.described()}: expected an input with {name} along dimension {dim}, got shape "
                f"{tuple(x.shape)}."
            ) from None
        if size > most:
            raise InputError(
                f"{self.described()}: expected at most {name} = {most} along dimension {dim} of the input, "
                f"got shape {tuple(x.shape)}. Raise {name} to the largest width that may come."
            )
        return size

    def extra_repr(self) -> str:
        """Return torch's words, and the variables."""
        words = [super().extra_repr(), *(f"{slot}={v}" for slot, v in self.search_variables.items())]
        return ", ".join(word for word in words if word)
