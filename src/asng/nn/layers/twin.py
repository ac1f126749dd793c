"""The base class of all twins of torch's layers."""

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
    """Return the classes of the parts of a layer, by path.

    Example:
        >>> parts_of(nn.Sequential(nn.ReLU()))
        {'0': <class 'torch.nn.modules.activation.ReLU'>}
    """
    return {path: type(part) for path, part in layer.named_modules() if path}


class Twin(Searchable):
    """A layer of torch with sizes that an architecture decides.

    A twin *is* torch's layer of its largest size: the same arguments, initialisation, parameters, state
    dict, dtypes and devices. It runs as the plain layer of the sizes that the architecture names and of the
    width of the input that it receives, over the leading parts of its weights. Its child is that same plain
    layer with a copy of those parts, so that both compute the same to the last bit.

    For the width of the input (`in_features`, `in_channels`, `num_features`, ...), give the largest that the
    layer will ever receive. A variable may stand there, but it is not read: the input decides.

    Attributes:
        search_variables: Name of an argument to the variable given for it; other arguments are left out.
    """

    forward_of_plain: Callable[..., Any]
    search_variables: dict[str, Variable | SizeExpression]
    search_parts: Mapping[str, type] = MappingProxyType({})
    """Classes of the parts, by path, in a twin that reads the weights of its parts."""

    search_own: bool = False
    """Whether a user's subclass changes what the layer does."""

    search_tied: bool = False
    """Whether the layer shares its weights with others that are known to use the same parts of them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the forward of a user's subclass run on the plain layer of the current sizes.

        In that forward, `super().forward` is the plain layer's, and `self.weight` is the part that is used.
        """
        super().__init_subclass__(**kwargs)
        if not is_ours(cls) and is_ours(definer(cls, "extract")):
            if "forward" in vars(cls):
                cls.forward_of_plain = vars(cls)["forward"]
            cls.search_own = bool(overrides(cls))
        by_class = cls.__mro__.index
        own_plain = by_class(definer(cls, "plain")) < by_class(definer(cls, "forward"))
        if cls.search_own or own_plain:
            # Only the layers of asng have a forward that knows what the plain layer computes.
            cls.forward = Twin.forward  # type: ignore[method-assign]

    @classmethod
    def of(cls, layer: nn.Module, **arguments: Any) -> "Self":
        """Return a twin of an existing plain layer, with its weights and arguments.

        To search a size of a trained model, put a twin in the place of one of its layers. The weights are the
        layer's own, not copies, so that tied weights stay tied and an optimiser's parameters stay valid.

        Args:
            layer: A layer of the class that this one is the twin of.
            **arguments: The arguments of the twin that should be variables, by name. The largest value of a
                size must be the layer's.

        Raises:
            InputError: The layer is of another class or has a forward of its own, an argument is unknown, or
                a largest value is not the layer's.

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
        """Return the variables, one slot per argument."""
        return dict(self.search_variables)

    def setting(self, slot: str, *, note: bool = True) -> Any:
        """Return the value of an argument: from the architecture if it is a variable, else as given.

        Args:
            slot: Name of the argument.
            note: As in `value`.
        """
        return self.value(slot, note=note) if slot in self.search_variables else getattr(self, slot)

    def plain(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Return torch's layer of the current sizes, over parts of these weights; `self` if all are used.

        Args:
            *args: Positional inputs of a call, from which the widths are taken. Default: the largest widths.
            **kwargs: Keyword inputs of the call.
        """
        return planned(self, self.plan(*args, **kwargs))

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """Return the plan of the plain layer, for the same arguments as `plain`.

        A twin whose `forward` is one function of torch calls it with the plan, and makes no plain layer.
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
            # Nothing is cut: the twin is the plain layer already, and torch's own forward runs.
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
        """Return the size of an input along `dim`, or the largest one if there is no input.

        Raises:
            InputError: The input is wider than the layer, or has no dimension `dim`.
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
        """Return torch's description, followed by the variables."""
        words = [super().extra_repr(), *(f"{slot}={v}" for slot, v in self.search_variables.items())]
        return ", ".join(word for word in words if word)
