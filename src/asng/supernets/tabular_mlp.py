"""A multilayer perceptron for tables with searchable depth, widths, activation, norm and residuals."""

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor, nn

from asng.checks import integer_at_least, one_of
from asng.errors import InputError
from asng.nn import BatchNorm1d, Choice, Dropout, Embedding, LayerNorm, Linear, Repeat, Searchable
from asng.nn.base import Extraction
from asng.nn.layers.sizes import Rate, Size
from asng.space import Categorical, Integer, Variable
from asng.supernets.arguments import ActivationName, check_shape, labelled, make_activation, settle_input

__all__ = ["NORMS", "NormName", "TabularMLP"]

NormName: TypeAlias = str | Categorical
"""One of `NORMS`, or a variable over them."""

NORMS = ("none", "batch", "layer")

WIDTH = Integer(16, 128, step=16)
DEPTH = Integer(0, 3)
ACTIVATION = Categorical(["ReLU", "GELU", "SiLU", "Tanh"])
NORM = Categorical(NORMS)
RESIDUAL = Categorical([False, True])


class Skip(Searchable):
    """An optional residual connection of a block.

    Args:
        residual: Whether to add the input of the block to its output, or the variable that decides it.
    """

    def __init__(self, residual: bool | Categorical) -> None:
        super().__init__()
        self.residual = residual

    def variables(self) -> dict[str, Variable]:
        """Return the variable of slot "residual", or none if it is fixed."""
        return {"residual": self.residual} if isinstance(self.residual, Categorical) else {}

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return x + y, or y."""
        residual = self.value("residual") if isinstance(self.residual, Categorical) else self.residual
        return x + y if residual else y


class Block(nn.Module):
    """Two layers, the hidden one normalised; input and output have the same width, to be added."""

    def __init__(
        self,
        width: Size,
        hidden: Size,
        activation: ActivationName,
        norm: NormName,
        residual: bool | Categorical,
        dropout: Rate,
    ) -> None:
        super().__init__()
        self.first = Linear(width, hidden)
        self.norm = _norm(norm, hidden)
        self.first_activation = make_activation(activation)
        self.dropout = Dropout(dropout)
        self.second = Linear(hidden, width)
        self.skip = Skip(residual)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width) to (batch, width)."""
        y = self.dropout(self.first_activation(self.norm(self.first(x))))
        return self.activation(self.skip(x, self.second(y)))  # type: ignore[no-any-return]


class TabularMLP(Searchable):
    """A classifier or regressor for rows of numbers and categories.

    A linear layer maps the numbers to the width, and each category adds a vector of its own, as a linear
    layer over one-hot columns would. A searchable number of blocks of two layers and a linear head follow.

    Every size is a number or a variable. The hidden width is searched separately in each block, under the
    name "block<i>.hidden"; if its variable has a label, all blocks share it.

    The dropout rate may be a variable too, but a one-shot search cannot learn it: see `asng.nn.Dropout`. If
    "batch" is among the norms, the child has no running averages until `asng.training.recalibrate` computes
    them, as it does for `result.child`.

    Args:
        features: Numbers per row, at least 0.
        outputs: Number of classes, or of values to predict, at least 1.
        categories: For each categorical column, how many values it has.
        width: Width of the first layer, and between the blocks.
        depth: Number of blocks, at least 0.
        hidden: Width within a block.
        activation: Name of a class of torch.nn, or a `Categorical` of names.
        norm: "none", "batch" or "layer", or a `Categorical` of them.
        residual: Whether blocks add their input to their output, or a `Categorical` of False and True.
        dropout: Dropout rate after the hidden layers, in [0, 1].

    Raises:
        InputError: An argument is out of its range, or there is no column.
        SpaceError: A variable can take values that are invalid for its argument.

    Example:
        >>> import torch
        >>> from random import Random
        >>> from asng.nn import Supernet
        >>> supernet = Supernet(TabularMLP(features=10, categories=[3, 7], outputs=1))
        >>> a = supernet.space.sample(Random(0))
        >>> supernet(torch.zeros(4, 10), torch.tensor([[0, 6]] * 4), architecture=a).shape
        torch.Size([4, 1])

    References:
        Gorishniy, Rubachev, Khrulkov, Babenko (2021). Revisiting deep learning models for tabular data,
        section 3: MLP and ResNet.
    """

    def __init__(
        self,
        *,
        features: int,
        outputs: int,
        categories: Sequence[int] = (),
        width: Size = WIDTH,
        depth: Size = DEPTH,
        hidden: Size = WIDTH,
        activation: ActivationName = ACTIVATION,
        norm: NormName = NORM,
        residual: bool | Categorical = RESIDUAL,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        features = integer_at_least("features", features, 0)
        if features == 0 and not categories:
            raise InputError("features, categories: expected at least one column, got none.")
        width, activation = labelled(width, "width"), labelled(activation, "activation")
        norm, dropout = labelled(norm, "norm"), labelled(dropout, "dropout")
        residual = labelled(_checked(residual), "residual")
        self.features = features
        self.numbers = Linear(features, width) if features else None
        self.categories = nn.ModuleList(
            Embedding(integer_at_least(f"categories[{i}]", count, 1), width)
            for i, count in enumerate(categories)
        )
        self.norm = _norm(norm, width)
        self.activation = make_activation(activation)
        self.blocks = Repeat(
            lambda index: Block(
                width, labelled(hidden, f"block{index + 1}.hidden"), activation, norm, residual, dropout
            ),
            labelled(depth, "depth"),
        )
        self.head = Linear(width, integer_at_least("outputs", outputs, 1))

    def variables(self) -> dict[str, Variable]:
        """Return no variables: all belong to the submodules."""
        return {}

    def forward(self, x: Tensor, categories: Tensor | None = None) -> Tensor:
        """Map a batch of rows to (batch, outputs).

        Args:
            x: Numbers (batch, features); of width 0 if there are only categories.
            categories: Integers (batch, number of categorical columns), column i in [0, categories[i]).

        Raises:
            InputError: Columns are missing, or there are too many.
        """
        if self.categories:
            check_shape("categories", categories, "batch", len(self.categories))
        elif isinstance(categories, Tensor):
            raise InputError(
                "categories: expected none, got a tensor. Pass `categories` when you make the model."
            )
        check_shape("x", x, "batch", self.features)
        parts = [self.numbers(x)] if self.numbers is not None else []
        parts += [embed(categories[:, i]) for i, embed in enumerate(self.categories)]  # type: ignore[index]
        first = self.activation(self.norm(sum(parts[1:], parts[0])))
        return self.head(self.blocks(first))  # type: ignore[no-any-return]

    def extract(self, extraction: Extraction) -> nn.Module:
        """Return the plain network, which takes categories only if there are categorical columns."""
        return settle_input(extraction.trace(self), "categories", given=len(self.categories) > 0)


def _norm(norm: NormName, width: Size) -> nn.Module:
    if isinstance(norm, Categorical):
        names = [one_of("norm", name, NORMS) for name in norm.choices]
        return Choice({name: _norm(name, width) for name in names}, label=norm.label)
    if one_of("norm", norm, NORMS) == "none":
        return nn.Identity()
    return BatchNorm1d(width) if norm == "batch" else LayerNorm(width)


def _checked(residual: bool | Categorical) -> bool | Categorical:
    for value in residual.choices if isinstance(residual, Categorical) else [residual]:
        if not isinstance(value, bool):
            raise InputError(f"residual: expected True, False or a Categorical of both, got {value!r}.")
    return residual
