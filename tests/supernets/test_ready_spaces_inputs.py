"""What the ready spaces are given: padding that never counts, and what is refused."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asng import Categorical, Integer, Real
from asng.errors import InputError, SpaceError
from asng.nn import Supernet
from asng.nn.selection import following
from asng.supernets import ResidualCNN, TabularMLP, TransformerEncoder
from asng.supernets.residual_cnn import ResidualBlock

MLP = {"features": 4, "outputs": 2}
CNN = {"in_channels": 2, "outputs": 2}
SERIES = {"features": 5, "outputs": 2}


def encoder(**changes):
    torch.manual_seed(0)
    return Supernet(TransformerEncoder(**({"features": 5, "outputs": 4} | changes))).eval()


@pytest.mark.parametrize("pooling", ["mean", "max", "last", "attention"])
@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_padded_batch_gives_what_each_sequence_gives_alone(pooling, seed, lengths):
    supernet = encoder(pooling=pooling)
    a = supernet.space.sample(Random(seed))
    # Padding of great numbers: were one looked at, it would show.
    x = torch.randn(len(lengths), max(lengths) + 2, 5, generator=torch.Generator().manual_seed(seed))
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 1e3
    together = supernet(x, torch.tensor(lengths), architecture=a)
    child = supernet.extract(a, example=(x, torch.tensor(lengths)))
    assert torch.equal(child(x, torch.tensor(lengths)), together)
    for row, length, y in zip(x, lengths, together, strict=True):
        alone = supernet(row[None, :length], architecture=a)
        torch.testing.assert_close(alone[0], y, rtol=1e-4, atol=1e-5)


def test_order_of_the_steps_matters_at_every_width():
    for width in (16, 32, 48, 64):
        supernet = encoder(width=width, pooling="mean")
        x = torch.randn(1, 6, 5)
        a = dict(supernet.space.sample(Random(0))) | {"depth": 1}
        assert not torch.allclose(supernet(x, architecture=a), supernet(x.flip(1), architecture=a), atol=1e-4)


def test_each_column_has_one_wave_in_all_widths_and_no_two_share_it():
    waves = encoder().model.positions
    x = torch.zeros(1, 50, 64)
    assert torch.equal(waves(x)[:, :, :16], waves(x[:, :, :16]))
    lengths = sorted(2 * torch.pi / waves.frequencies)
    assert len(set(lengths)) == 32
    assert lengths[0] == pytest.approx(2 * torch.pi)
    assert max(2 * torch.pi / waves.frequencies[:8]) > 2_000  # long waves in the narrowest width too


def test_child_takes_the_inputs_of_the_example_and_no_others():
    supernet, x, lengths = encoder(), torch.randn(2, 6, 5), torch.tensor([6, 2])
    a = supernet.space.sample(Random(0))
    whole, several = supernet.extract(a, example=x), supernet.extract(a, example=(x, lengths))
    assert whole(x).shape == several(x, lengths=lengths).shape == (2, 4)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        whole(x, lengths)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'lengths'"):
        several(x)


def test_child_of_numbers_alone_takes_no_categories():
    supernet = Supernet(TabularMLP(features=3, outputs=1))
    child = supernet.extract(supernet.space.sample(Random(0)), example=torch.ones(2, 3))
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        child(torch.ones(2, 3), torch.zeros(2, 1))


def test_encoder_called_with_lengths_and_without_has_no_plain_form():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = TransformerEncoder(features=5, outputs=4)

        def forward(self, x, lengths):
            return self.encoder(x) + self.encoder(x, lengths=lengths)

    supernet = Supernet(Twice())
    a = supernet.space.sample(Random(0))
    with pytest.raises(InputError, match=r"module 'encoder.*expected lengths in every call, or in none"):
        supernet.extract(a, example=(torch.ones(2, 6, 5), torch.tensor([6, 2])))


def test_rate_of_dropout_is_inactive_while_architectures_are_scored():
    supernet = encoder(dropout=Real(0.0, 0.5))
    a = dict(supernet.space.sample(Random(0)))
    supernet(torch.randn(2, 6, 5), architecture=a)
    assert "dropout" not in supernet.active
    supernet.train()(torch.randn(2, 6, 5), architecture=a)
    assert "dropout" in supernet.active


def test_hidden_width_of_a_block_that_does_not_run_is_inactive():
    supernet = Supernet(TabularMLP(features=3, outputs=1)).eval()
    a = dict(supernet.space.sample(Random(0))) | {"depth": 1}
    supernet(torch.zeros(2, 3), architecture=a)
    assert set(supernet.space) - supernet.active == {"block2.hidden", "block3.hidden"}


def test_residual_decides_whether_the_input_is_added():
    model = TabularMLP(features=3, outputs=1, depth=1, norm="none", activation="ReLU")
    supernet, x = Supernet(model).eval(), torch.randn(4, 3)
    torch.nn.init.zeros_(model.blocks.blocks[0].second.weight)
    torch.nn.init.zeros_(model.blocks.blocks[0].second.bias)
    a = dict(supernet.space.sample(Random(0)))
    assert torch.equal(supernet(x, architecture=a | {"residual": False}), model.head.bias.expand(4, 1))
    with_sum = supernet(x, architecture=a | {"residual": True})
    assert with_sum.std() > 0


def test_residual_block_adds_its_input():
    block, x = ResidualBlock(4, 3, "ReLU"), torch.randn(2, 4, 5, 5)
    assert not torch.allclose(block(x), torch.relu(x))
    torch.nn.init.zeros_(block.second_norm.weight)
    assert torch.equal(block(x), torch.relu(x))


def test_strides_say_where_the_image_shrinks():
    for strides, side in ((None, 4), ([2, 2, 2], 2), ([1, 1, 1], 16)):
        supernet = Supernet(ResidualCNN(**CNN, strides=strides))
        with following(supernet.space.sample(Random(0))):
            assert supernet.model.stages(torch.zeros(1, 2, 16, 16)).shape[2:] == (side, side)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([6, 2], r"lengths: expected integers in \[1, 6\], .* got list. Give a tensor"),
        (torch.tensor([6.0, 2.0]), r"got torch\.float32 of shape \(2,\)\. asng\.data\.pad_series"),
        (torch.tensor([True, True]), r"got torch\.bool"),
        (torch.tensor([6, 2, 3]), r"one for each of 2 sequences, got torch\.int64 of shape \(3,\)"),
        (torch.tensor([6, 0]), r"numbers from 0 to 6\. .* leave out empty sequences"),
        (torch.tensor([7, 1]), "numbers from 1 to 7"),
    ],
)
def test_lengths_of_another_form_are_refused(lengths, message):
    supernet = encoder()
    with pytest.raises(InputError, match=message):
        supernet(torch.zeros(2, 6, 5), lengths, architecture=supernet.space.sample(Random(0)))


@pytest.mark.parametrize(
    ("model", "settings", "inputs", "message"),
    [
        (ResidualCNN, CNN, [(1, 1, 8, 8)], r"x: expected a tensor \(batch, 2, height, width\), got shape"),
        (ResidualCNN, CNN, [(2, 8, 8)], r"x: .* got shape \(2, 8, 8\)"),
        (
            TransformerEncoder,
            SERIES,
            [(1, 6, 4)],
            r"x: expected a tensor \(batch, time, 5\), got shape \(1, 6, 4\)",
        ),
        (
            TransformerEncoder,
            {"tokens": 5, "outputs": 2},
            [(1, 6, 4)],
            r"x: expected a tensor \(batch, time\)",
        ),
        (TabularMLP, MLP, [(1, 3)], r"x: expected a tensor \(batch, 4\), got shape \(1, 3\)"),
        (TabularMLP, MLP, [(1, 4), (1, 2)], r"categories: expected none, got a tensor\. Pass `categories`"),
        (
            TabularMLP,
            MLP | {"categories": [3]},
            [(1, 4)],
            r"categories: expected a tensor \(batch, 1\), got none",
        ),
        (TabularMLP, MLP | {"categories": [3]}, [(1, 4), (1, 2)], r"categories: .* got shape \(1, 2\)"),
    ],
)
def test_inputs_of_another_shape_are_refused(model, settings, inputs, message):
    supernet = Supernet(model(**settings)).eval()
    with pytest.raises(InputError, match=message):
        supernet(*map(torch.zeros, inputs), architecture=supernet.space.sample(Random(0)))


@pytest.mark.parametrize(
    ("model", "settings", "error", "message"),
    [
        (ResidualCNN, {"in_channels": 0}, InputError, "in_channels: expected an integer >= 1, got 0"),
        (ResidualCNN, {"outputs": 2.0}, InputError, r"outputs: expected an integer >= 1, got 2\.0"),
        (
            ResidualCNN,
            {"widths": []},
            InputError,
            r"widths: expected a sequence of one width per stage, got \[\]",
        ),
        (
            ResidualCNN,
            {"widths": 16},
            InputError,
            "widths: expected a sequence of one width per stage, got 16",
        ),
        (ResidualCNN, {"depth": [1, 2]}, InputError, "depth: .* one for each of 3 stages, got 2"),
        (ResidualCNN, {"kernel": 4}, InputError, r"kernel: expected odd sides, got 4\. .* step=2"),
        (ResidualCNN, {"kernel": Integer(1, 7)}, InputError, "kernel: expected odd sides, got 2"),
        (ResidualCNN, {"kernel": Categorical([3, 6])}, InputError, "kernel: expected odd sides, got 6"),
        (
            ResidualCNN,
            {"kernel": Categorical(["3"])},
            SpaceError,
            "kernel: expected choices that are integers",
        ),
        (ResidualCNN, {"strides": [1, 2]}, InputError, "strides: .* one for each of 3 stages, got 2"),
        (ResidualCNN, {"strides": [1, 0, 1]}, InputError, "strides: expected an integer >= 1, got 0"),
        (ResidualCNN, {"activation": "Relu"}, InputError, "^activation: .* Did you mean 'ReLU'"),
        (ResidualCNN, {"activation": Categorical(["ReLU", "Tanhh"])}, InputError, "^activation: .* 'Tanhh'"),
        (ResidualCNN, {"activation": 3}, InputError, "activation: expected a name such as 'ReLU', .* got 3"),
        (TransformerEncoder, {"tokens": 3}, InputError, "features, tokens: expected one of them.* got both"),
        (TransformerEncoder, {"features": None}, InputError, "features, tokens: .* got neither"),
        (TransformerEncoder, {"features": 0}, InputError, "features: expected an integer >= 1, got 0"),
        (TransformerEncoder, {"width": 12}, SpaceError, r"width: .* 8 among them, got 12\. .* steps of 8"),
        (
            TransformerEncoder,
            {"heads": 5},
            SpaceError,
            "multiples of every number of heads, 5 among them, got 16",
        ),
        (
            TransformerEncoder,
            {"pooling": "median"},
            InputError,
            "pooling: expected one of 'mean', .* got 'median'",
        ),
        (TransformerEncoder, {"activation": "silu"}, InputError, "activation: .* 'relu', 'gelu', got 'silu'"),
        (TransformerEncoder, {"pooling": Categorical(["mean", "maxi"])}, InputError, "Did you mean 'max'"),
        (TransformerEncoder, {"dropout": Real(0, 2)}, SpaceError, r"expected rates in \[0, 1\], got 2\.0"),
        (
            TabularMLP,
            {"features": 0},
            InputError,
            "features, categories: expected at least one column, got none",
        ),
        (TabularMLP, {"categories": [3, 0]}, InputError, r"categories\[1\]: expected an integer >= 1, got 0"),
        (
            TabularMLP,
            {"norm": "group"},
            InputError,
            "norm: expected one of 'none', 'batch', 'layer', got 'group'",
        ),
        (
            TabularMLP,
            {"residual": Categorical([0, 1])},
            InputError,
            "residual: expected True, False .* got 0",
        ),
        (TabularMLP, {"depth": Integer(-1, 2)}, SpaceError, "depth: expected an Integer from 0 on"),
    ],
)
def test_wrong_arguments_are_named(model, settings, error, message):
    first = {ResidualCNN: CNN, TransformerEncoder: SERIES, TabularMLP: MLP}[model]
    with pytest.raises(error, match=message):
        model(**(first | settings))
