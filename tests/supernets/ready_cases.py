"""The ready spaces as the tests meet them: one line makes a new one join `test_every_ready_space.py`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asng import Categorical, Integer, Real
from asng.supernets import ConvAutoencoder, ResidualCNN, TabularMLP, TransformerEncoder

LENGTHS = torch.tensor([9, 1, 4])
CODES = torch.tensor([[0, 6], [2, 0], [1, 3]])


@dataclass(frozen=True)
class Case:
    """A model, its inputs, and what its space is.

    Attributes:
        model: Makes the model.
        inputs: A batch of 3.
        names: Names of the variables.
        n_theta: Degrees of freedom of theta: K - 1 for a categorical, 2 for an integer.
    """

    model: Callable[[], nn.Module]
    inputs: tuple[Tensor, ...]
    names: list[str]
    n_theta: int


def _x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _stages(count, *names):
    return [f"stage{i}.{name}" for i in range(1, count + 1) for name in names]


def _layers(kind, count, *names):
    return [f"{kind}{i}.{name}" for i in range(1, count + 1) for name in names]


_ENCODER = ["width", "depth", *_layers("layer", 4, "heads", "feedforward"), "pooling"]
_MLP = ["width", "norm", "activation", "depth", "residual", *_layers("block", 3, "hidden")]


def _nodes(count, *names):
    """Names of an autoencoder's variables: node 1 reads the image, and has no choice."""
    nodes = [f"node{i}.{name}" for i in range(1, count + 1) for name in (*names, "channels", "input")]
    return [*nodes[: len(names) + 1], *nodes[len(names) + 2 :], "output"]


_SMALL = {"width": Integer(8, 16, step=8), "depth": 1, "heads": 4}

CASES = {
    "cnn": Case(
        lambda: ResidualCNN(in_channels=1, outputs=10),
        (_x(3, 1, 10, 10),),
        ["activation", *_stages(3, "width", "depth", "kernel")],
        n_theta=3 + 9 * 2,
    ),
    "small cnn": Case(
        lambda: ResidualCNN(
            in_channels=3,
            outputs=2,
            widths=[Integer(2, 6, label="w"), Integer(2, 6, label="w")],
            depth=[Categorical([0, 2]), 1],
            kernel=Categorical([1, 5], label="k"),
            activation=["ReLU", Categorical(["ReLU", "GELU"])],
            strides=[2, 1],
        ),
        (_x(3, 3, 7, 9),),
        ["w", "stage1.depth", "k", "stage2.activation"],
        n_theta=2 + 1 + 1 + 1,
    ),
    "small autoencoder": Case(
        lambda: ConvAutoencoder(in_channels=2, image_size=(7, 10), columns=6, channels=(3, 4, 9)),
        (_x(3, 2, 7, 10),),
        _nodes(6, "op"),
        n_theta=6 * 5 + 6 * 2 + (1 + 2 + 3 + 4 + 4) + 4,
    ),
    "small autoencoder, mixed": Case(
        lambda: ConvAutoencoder(
            in_channels=5, image_size=8, encoding="mixed", columns=3, level_back=2, channels=(2, 4)
        ),
        (_x(3, 5, 8, 8),),
        _nodes(3, "skip", "kernel"),
        n_theta=3 * (1 + 2 + 2) + (1 + 1) + 1,
    ),
    "encoder": Case(
        lambda: TransformerEncoder(features=5, outputs=4),
        (_x(3, 9, 5), LENGTHS),
        _ENCODER,
        n_theta=2 + 2 + 4 * (3 + 2) + 3,
    ),
    "encoder of whole series": Case(
        lambda: TransformerEncoder(features=5, outputs=4),
        (_x(3, 9, 5),),
        _ENCODER,
        n_theta=2 + 2 + 4 * (3 + 2) + 3,
    ),
    "encoder of tokens": Case(
        lambda: TransformerEncoder(
            tokens=7, outputs=4, heads=Categorical([1, 2], label="h"), dropout=Real(0, 1)
        ),
        (torch.arange(27).reshape(3, 9) % 7, LENGTHS),
        ["width", "depth", "h", *_layers("layer", 4, "feedforward"), "pooling", "dropout"],
        n_theta=2 + 2 + 1 + 4 * 2 + 3 + 2,
    ),
    **{
        f"encoder with {pooling} pooling": Case(
            lambda pooling=pooling: TransformerEncoder(features=5, outputs=4, pooling=pooling, **_SMALL),
            (_x(3, 9, 5), LENGTHS),
            ["width", "layer1.feedforward"],
            n_theta=2 + 2,
        )
        for pooling in ("mean", "max", "last", "attention")
    },
    "mlp": Case(
        lambda: TabularMLP(features=6, outputs=1), (_x(3, 6),), _MLP, n_theta=2 + 2 + 3 + 2 + 1 + 3 * 2
    ),
    "mlp with categories": Case(
        lambda: TabularMLP(features=6, outputs=1, categories=[3, 7], norm="batch", residual=True),
        (_x(3, 6), CODES),
        [name for name in _MLP if name not in ("norm", "residual")],
        n_theta=2 + 3 + 2 + 3 * 2,
    ),
    "mlp of categories alone": Case(
        lambda: TabularMLP(
            features=0, outputs=1, categories=[3, 7], hidden=Integer(4, 8, label="hidden"), activation="ReLU"
        ),
        (torch.empty(3, 0), CODES),
        ["width", "norm", "depth", "residual", "hidden"],
        n_theta=2 + 2 + 2 + 1 + 2,
    ),
}

SMALL = [name for name in CASES if name.startswith(("small", "mlp")) or "pooling" in name]
