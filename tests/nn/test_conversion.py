"""A model that exists becomes a supernet: what is searched in it is proved, and its children are right."""

import copy
import random
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, scaled_dot_product_attention

from asng import nn as snn
from asng.errors import InputError
from asng.nn.inputs import tensors_of


class Block(nn.Module):
    """Of a residual network."""

    def __init__(self, width, out, stride=1, *, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1)
        self.norm1, self.norm2 = norm(out), norm(out)
        same = stride == 1 and width == out
        self.short = nn.Identity() if same else nn.Conv2d(width, out, 1, stride)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.short(x))


class Residual(nn.Module):
    def __init__(self, norm=nn.BatchNorm2d):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(
            Block(8, 8, norm=norm), Block(8, 16, 2, norm=norm), Block(16, 16, norm=norm)
        )
        self.head = nn.Linear(16 * 4, 5)

    def forward(self, x):
        return self.head(adaptive_avg_pool2d(self.blocks(self.stem(x)), 2).flatten(1))


class Inverted(nn.Module):
    """Depthwise convolutions, and a gate computed from all channels."""

    def __init__(self):
        super().__init__()
        self.expand, self.depth, self.project = (
            nn.Conv2d(3, 12, 1),
            nn.Conv2d(12, 12, 3, 1, 1, groups=12),
            nn.Conv2d(12, 8, 1),
        )
        self.squeeze, self.excite = nn.Linear(12, 4), nn.Linear(4, 12)
        self.slope, self.head = nn.PReLU(8), nn.Linear(8, 5)

    def forward(self, x):
        y = self.depth(torch.relu(self.expand(x)))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3))))))
        return self.head(self.slope(self.project(y * gate[:, :, None, None])).mean((2, 3)))


class Branches(nn.Module):
    """As U-Net and DenseNet have them: what comes together lies side by side."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.up = nn.ConvTranspose2d(12, 4, 2, 2)
        self.norm, self.out = nn.BatchNorm2d(12), nn.Conv2d(12, 8, 3, 1, 1)
        self.head = nn.Conv2d(8 + 12, 2, 1)

    def forward(self, x):
        a = torch.relu(self.down(x))
        both = torch.cat([a, torch.relu(self.up(torch.relu(self.deep(a))))], dim=1)
        return self.head(torch.cat([self.out(torch.relu(self.norm(both))), both], dim=1))


class Attention(nn.Module):
    """An encoder layer; the number of heads follows the projections, or the other way round."""

    def __init__(self, *, heads=None, kv=16):
        super().__init__()
        self.heads, self.width, self.share = heads, 4, 16 // kv
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.RMSNorm(16)
        self.q, self.k, self.v, self.o = (
            nn.Linear(16, 16),
            nn.Linear(16, kv),
            nn.Linear(16, kv),
            nn.Linear(16, 16),
        )
        self.inner, self.outer = nn.Linear(16, 24), nn.Linear(24, 16)

    def forward(self, x):
        b, n, _ = x.shape
        y = self.norm1(x)
        shape = (b, n, -1, self.width) if self.heads is None else (b, n, self.heads, -1)
        q, k, v = (layer(y).view(shape).transpose(1, 2) for layer in (self.q, self.k, self.v))
        k, v = (t.repeat_interleave(self.share, dim=1) for t in (k, v))
        a = scaled_dot_product_attention(q, k, v, scale=0.5).transpose(1, 2).reshape(b, n, -1)
        x = x + self.o(a)
        return x + self.outer(torch.tanh(self.inner(self.norm2(x))))


class Sequence(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.tokens, self.places = nn.Embedding(9, 16), nn.Embedding(5, 16)
        self.layers = nn.ModuleList(Attention(**options) for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return {"logits": self.head(x.mean(1)), "ids": ids}


class Fused(nn.Module):
    """One layer makes queries, keys and values, as in vit-pytorch."""

    def __init__(self):
        super().__init__()
        self.qkv, self.o, self.head = nn.Linear(8, 3 * 16), nn.Linear(16, 8), nn.Linear(8, 2)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = (t.reshape(b, n, 2, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        a = ((q @ k.transpose(-2, -1)) * 0.3).softmax(-1) @ v
        return self.head(x + self.o(a.transpose(1, 2).reshape(b, n, -1)))


class Gated(nn.Module):
    """A gate and what it gates from one layer; a mask that the model looks at."""

    def __init__(self):
        super().__init__()
        self.both, self.out = nn.Linear(6, 16), nn.Linear(8, 3)

    def forward(self, x):
        if not bool((x == x).all()):
            raise ValueError
        gate, value = self.both(x).chunk(2, dim=-1)
        return self.out(torch.sigmoid(gate) * value)


class Modulated(nn.Module):
    """One layer makes scales, then shifts, for the channels of another, as in FiLM and DiT."""

    def __init__(self):
        super().__init__()
        self.conv, self.both, self.head = nn.Conv2d(3, 8, 1), nn.Linear(3, 16), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        scale, shift = self.both(x.mean((2, 3)))[:, :, None, None].chunk(2, dim=1)
        return self.head(torch.tanh(self.conv(x) * (1.0 + scale) + shift))


class Folded(nn.Module):
    """An autoencoder whose code folds and unfolds channels by a number that it keeps, -1 for the batch."""

    def __init__(self):
        super().__init__()
        self.channels = 8
        self.down, self.code, self.open = nn.Conv2d(3, 8, 2, 2), nn.Linear(8 * 16, 6), nn.Linear(6, 8 * 16)
        self.up = nn.ConvTranspose2d(8, 3, 2, 2)

    def forward(self, x):
        code = self.code(torch.relu(self.down(x)).view(-1, self.channels * 16))
        return self.up(torch.relu(self.open(code)).view(-1, self.channels, 4, 4))


def images():
    return torch.randn(3, 3, 8, 8)


def tokens():
    return torch.randint(0, 9, (3, 5))


ATTENTION = [f"layers.{i}.{part}" for i in (0, 1) for part in ("q", "inner")]
MODELS = {
    "residual": (
        Residual,
        images,
        {"stem": 2, "blocks.0.conv1": 1, "blocks.1.conv1": 1, "blocks.1.conv2": 3, "blocks.2.conv1": 1},
    ),
    "residual, instance norms": (
        lambda: Residual(nn.InstanceNorm2d),
        images,
        {"stem": 2, "blocks.0.conv1": 1, "blocks.1.conv1": 1, "blocks.1.conv2": 3, "blocks.2.conv1": 1},
    ),
    "depthwise, gate": (Inverted, images, {"expand": 2, "project": 1, "squeeze": 1}),
    "side by side": (Branches, images, {"down": 1, "deep": 1, "up": 1, "out": 1}),
    "heads": (Sequence, tokens, {"tokens": 6, **{n: 3 if n.endswith("q") else 1 for n in ATTENTION}}),
    "groups of heads": (
        lambda: Sequence(kv=8),
        tokens,
        {"tokens": 6, **{n: 3 if n.endswith("q") else 1 for n in ATTENTION}},
    ),
    "numbers of heads": (
        lambda: Sequence(heads=4),
        tokens,
        {
            "tokens": 6,
            **{f"layers.{i}.{n}": 2 if n == "q" else 1 for i in (0, 1) for n in ("q", "v", "inner")},
        },
    ),
    "fused": (Fused, lambda: torch.randn(3, 5, 8), {"qkv": 1}),
    "gated": (Gated, lambda: torch.randn(3, 6), {"both": 1}),
    "modulated": (Modulated, images, {"conv": 2}),
    "folded": (Folded, images, {"down": 3, "code": 1}),
}
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def converted(name):
    """A model, its input and its supernet, made once for all tests."""
    make, inputs, _ = MODELS[name]
    torch.manual_seed(1)
    model, x = make(), inputs()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
    before = copy.deepcopy(model)
    return before, model, x, snn.searchable(model, x)


def outputs(function, *args, **kwargs):
    with torch.no_grad():
        return tensors_of(function(*args, **kwargs))


def alike(got, expected, **tolerance):
    return all(torch.allclose(a, b, **tolerance) for a, b in zip(got, expected, strict=True))


@every_model
def test_layers_that_belong_together_are_found(name):
    found = converted(name)[-1].conversion.groups
    assert {group.name: len(group.widths) + len(group.numbers) for group in found} == MODELS[name][-1]


@every_model
def test_children_are_plain_and_compute_what_the_supernet_computes(name):
    _, model, x, supernet = converted(name)
    supernet.eval()
    rng = random.Random(0)
    for _ in range(6):
        architecture = supernet.space.sample(rng)
        child = supernet.extract(architecture, example=x).eval()
        assert type(child) is type(model)
        assert {type(part).__module__.partition(".")[0] for part in child.modules()} <= {"torch", __name__}
        for got, expected in zip(
            outputs(child, x), outputs(supernet, x, architecture=architecture), strict=True
        ):
            assert torch.equal(got, expected)


def largest(supernet):
    return {name: variable.high for name, variable in supernet.space.items()}


@every_model
def test_the_whole_network_is_the_one_that_was_given(name):
    before, model, x, supernet = converted(name)
    child = supernet.extract(largest(supernet), example=x)
    own = child.state_dict()
    assert {path: t.shape for path, t in own.items()}.keys() <= model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[path]) for path, value in own.items())
    for path, value in before.state_dict().items():
        assert torch.equal(value, model.state_dict()[path])
    assert not any(isinstance(part, snn.Twin) for part in model.modules())
    assert not {id(p) for p in supernet.parameters()} & {id(p) for p in model.parameters()}


WITHOUT_NORMS = {
    "residual": (lambda: Residual(lambda _: nn.Identity()), images, ()),
    "fused": (Fused, lambda: torch.randn(3, 5, 8), ()),
    "gated": (Gated, lambda: torch.randn(3, 6), ()),
    "modulated": (Modulated, images, ()),
    "heads": (Sequence, tokens, ("tokens",)),
    "numbers of heads": (lambda: Sequence(heads=4), tokens, ("tokens",)),
}


@pytest.mark.parametrize("name", WITHOUT_NORMS)
def test_a_child_is_the_whole_network_that_makes_nought_of_the_lost_channels(name):
    """Told from outside: where nothing but layers has a bias, a channel of weight zero adds nothing."""
    make, inputs, skip = WITHOUT_NORMS[name]
    torch.manual_seed(2)
    model, x = make(), inputs()
    supernet = snn.searchable(model, x, skip=skip, depth=False)
    for seed in range(3):
        architecture = supernet.space.sample(random.Random(seed))
        whole = copy.deepcopy(model)
        for group in supernet.conversion.groups:
            value = architecture[group.name]
            units = value // group.step if group.is_counted_in_channels else value
            for path, kept in group.made(units).items():
                layer = whole.get_submodule(path)
                gone = ~torch.isin(torch.arange(group.widths[path]), kept)
                with torch.no_grad():
                    layer.weight[gone], layer.bias[gone] = 0.0, 0.0
        child = supernet.extract(architecture, example=x)
        assert alike(outputs(child, x), outputs(whole, x), atol=1e-5)


class Mixing(nn.Module):
    """What comes between two layers mixes channels."""

    def __init__(self, mix):
        super().__init__()
        self.first, self.second, self.mix = nn.Linear(6, 8), nn.Linear(8, 3), mix

    def forward(self, x):
        return self.second(self.mix(self.first(x)))


MIXES = {
    "softmax": lambda x: x.softmax(-1),
    "normalised": lambda x: nn.functional.normalize(x, dim=-1),
    "norm by hand": lambda x: x - x.mean(-1, keepdim=True),
    "sorted": lambda x: x.sort(-1).values,
    "the greatest": lambda x: x + x.nan_to_num(-1e9).amax(-1, keepdim=True),
    "first and last added": lambda x: x + x.flip(-1),
    "a product of its own": lambda x: x @ torch.ones(8, 8),
    "noise of a size": lambda x: x + torch.arange(8.0),
}


@pytest.mark.parametrize("mix", MIXES)
def test_a_width_whose_channels_are_mixed_stays_and_is_told(mix):
    with pytest.raises(
        InputError, match=r"expected a width that can be narrowed, got none in Mixing\..* first: "
    ):
        snn.searchable(Mixing(MIXES[mix]), torch.randn(4, 6))


def test_a_model_that_is_a_layer_itself_is_told_why_it_stays():
    with pytest.raises(InputError, match=r"got none in Linear\. It: its channels are part of the output\."):
        snn.searchable(nn.Linear(6, 3), torch.randn(2, 6))


@pytest.mark.parametrize("share", [0.0, 1e-6])
def test_a_wrong_cut_of_next_to_no_effect_is_refused_all_the_same(share):
    """As behind a weight that begins with zero, or in a fresh network of small ones."""

    class Faint(Mixing):
        def __init__(self, mix):
            super().__init__(mix)
            self.share = nn.Parameter(torch.full((3,), share))

        def forward(self, x):
            return x[..., :3] + self.share * super().forward(x)

    with pytest.raises(InputError, match="got none in Faint"):
        snn.searchable(Faint(MIXES["softmax"]), torch.randn(4, 6))
    assert snn.searchable(Faint(torch.relu), torch.randn(4, 6)).conversion.groups


def test_a_model_that_runs_in_single_precision_only_is_converted():
    def relu(x):
        assert x.dtype == torch.float32
        return torch.relu(x)

    conversion = snn.searchable(Mixing(relu), torch.randn(4, 6)).conversion
    assert [group.name for group in conversion.groups] == ["first"]


SAME = {
    "shuffled in two groups": lambda x: x.reshape(-1, 2, x.shape[-1] // 2).transpose(1, 2).flatten(1),
    "reversed": lambda x: x.flip(-1),
    "in halves": lambda x: torch.cat(x.chunk(2, dim=-1)[::-1], dim=-1),
    "with itself": lambda x: torch.maximum(x, -x),
}


@pytest.mark.parametrize("mix", SAME)
def test_channels_that_only_change_places_are_followed(mix):
    """The child equals the whole network with nought in the place of the lost channels, told from outside."""
    torch.manual_seed(0)
    model, x = Mixing(SAME[mix]), torch.randn(4, 6)
    supernet = snn.searchable(model, x)
    group = supernet.conversion.groups[0]
    for units in range(group.least, group.units):
        child = supernet.extract({"first": units * group.step}, example=x)
        whole = copy.deepcopy(model)
        gone = ~torch.isin(torch.arange(8), group.made(units)["first"])
        with torch.no_grad():
            whole.first.weight[gone], whole.first.bias[gone] = 0.0, 0.0
        assert alike(outputs(child, x), outputs(whole, x), atol=1e-6)


def test_a_layer_that_is_called_twice_serves_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shared, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)
            self.again = self.shared

        def forward(self, x):
            return self.head(self.again(torch.relu(self.shared(torch.relu(self.first(x))))))

    x = torch.randn(3, 4)
    supernet = snn.searchable(Twice(), x)
    assert dict(supernet.conversion.groups[0].widths) == {"first": 8, "shared": 8}
    child = supernet.extract({"first": 4}, example=x)
    assert child.again is child.shared
    assert torch.equal(child(x), supernet(x, architecture={"first": 4}))


def test_a_model_that_cannot_run_without_numbers_is_converted_all_the_same():
    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x):
            chosen = x[x.sum(-1) > -100.0]  # how many is for numbers to say
            return self.outer(torch.relu(self.inner(chosen)))

    supernet = snn.searchable(Routed(), torch.randn(5, 4))
    assert [group.name for group in supernet.conversion.groups] == ["inner"]


def test_widths_are_followed_past_rows_that_numbers_choose():
    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            y = self.first(x)
            rows = torch.unique_consecutive(x.sum(-1) > 0)
            y = y + self.second(torch.tanh(y))
            return self.head(y[x.sum(-1) > 0]) * len(rows)

    (group,) = snn.searchable(Chosen(), torch.randn(6, 4)).conversion.groups
    assert set(group.widths) == {"first", "second"}


def test_widths_that_the_code_gives_to_another_are_one():
    class Asked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            y = self.first(x)
            return self.head(self.second(torch.tanh(y)).reshape(-1, 1, y.shape[-1]).sum(1))

    (group,) = snn.searchable(Asked(), torch.randn(6, 4)).conversion.groups
    assert set(group.widths) == {"first", "second"}


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        (
            {"only": "blocks.*"},
            ["stem", "blocks.0.conv1", "blocks.1.conv1", "blocks.1.conv2", "blocks.2.conv1"],
        ),
        ({"only": ["*.conv1"]}, ["blocks.0.conv1", "blocks.1.conv1", "blocks.2.conv1"]),
        ({"skip": ["stem", "blocks.1.*"]}, ["blocks.0.conv1", "blocks.2.conv1"]),
    ],
)
def test_patterns_choose_groups(options, groups):
    found = snn.searchable(Residual(), images(), **options).conversion
    assert [group.name for group in found.groups] == groups
    assert all("leaves it out" in why for path, why in found.fixed.items() if path != "head")


def test_a_width_without_parts_says_that_it_has_steps_of_one():
    model = nn.Sequential(nn.Linear(8, 37), nn.ReLU(), nn.Linear(37, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(4, 8)
    fixed = snn.searchable(model, x).conversion.fixed
    assert fixed["0"] == "its 37 channels have no 2 to 8 equal parts; pass step=1"
    assert "0" in snn.searchable(model, x, step={"0": 1}).space


def test_steps_and_least_shares_go_by_pattern():
    space = snn.searchable(Residual(), images(), step={"*.conv1": 4}, least={"stem": 0.5, "*": 0.1}).space
    assert (space["stem"].low, space["stem"].step) == (4, 1)
    assert (space["blocks.1.conv1"].low, space["blocks.1.conv1"].step) == (4, 4)


@pytest.mark.parametrize(
    ("model", "example", "options", "match"),
    [
        (3, images, {}, "model: expected a torch.nn.Module, got 3"),
        (
            Residual(),
            tokens,
            {},
            "model: expected it to run on the example in evaluation mode, got: .* bias type",
        ),
        (Residual(), images, {"least": 0.0}, r"least: expected a share of the channels in \(0, 1\], got 0.0"),
        (Residual(), images, {"least": {"stem": 1.5}}, "least: expected a share"),
        (Residual(), images, {"step": 0}, "step: expected"),
        (
            Residual(),
            images,
            {"skip": "stme"},
            "skip: expected patterns that match .* got 'stme'. Paths are stem,",
        ),
        (Residual(), images, {"step": 3, "depth": False}, "are not divided by step=3"),
        (nn.Sequential(nn.Linear(8, 2)), images, {}, "got none in Sequential"),
        (
            nn.ReLU(),
            images,
            {},
            "got none in ReLU. It has no linear layer, embedding or convolution of torch. Mark",
        ),
        (nn.Sequential(snn.Choice([nn.ReLU(), nn.Tanh()])), images, {}, "got one with searchable parts"),
        (nn.Linear(8, 2, device="meta"), images, {}, "model: expected weights with numbers, .* meta device"),
    ],
)
def test_wrong_input_is_told(model, example, options, match):
    with pytest.raises(InputError, match=match):
        snn.searchable(model, example(), **options)


def test_the_table_has_every_layer_that_makes_channels():
    conversion = snn.searchable(Residual(), images()).conversion
    lines = str(conversion).partition("\n\n")[0].splitlines()
    assert lines[1].split() == ["stem", "2", "to", "8", "by", "1", "blocks.0.conv2"]
    assert lines[-1].split(maxsplit=2) == ["head", "stays", "its channels are part of the output"]


def test_a_model_is_left_as_it_was():
    class Counting(Residual):
        def __init__(self):
            super().__init__()
            self.passes = 0

        def forward(self, x):
            self.passes += 1
            return super().forward(x)

    model = Counting().train()
    model.blocks[0].eval()
    before = {path: part.training for path, part in model.named_modules()}
    x = images()
    state = torch.get_rng_state()
    snn.searchable(model, x)
    assert {path: part.training for path, part in model.named_modules()} == before
    assert model.passes == 0
    assert torch.equal(torch.get_rng_state(), state)


class Masked(nn.Module):
    """Its mask is a product that only the precision of its weights makes finite, as in transformers."""

    def __init__(self):
        super().__init__()
        self.scores, self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x, mask):
        hidden = (1 - mask) * torch.finfo(self.scores.weight.dtype).min
        return self.outer(torch.tanh(self.inner(torch.softmax(self.scores(x) + hidden, dim=-1))))


def test_a_model_that_makes_nan_in_double_precision_is_proved_in_its_own():
    example = (torch.randn(3, 4), torch.ones(3, 4, dtype=torch.long))
    assert "inner" in snn.searchable(Masked(), example).space
