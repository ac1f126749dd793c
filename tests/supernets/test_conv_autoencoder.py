from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from asng import ASNG, Categorical, Integer
from asng.errors import InputError
from asng.nn import Supernet
from asng.supernets import ConvAutoencoder

ENCODINGS = pytest.mark.parametrize("encoding", ["categorical", "mixed"])
SMALL = {"in_channels": 2, "image_size": 8, "columns": 6, "channels": (3, 4, 6)}


def _supernet(**changes):
    torch.manual_seed(0)
    return Supernet(ConvAutoencoder(**(SMALL | changes))).eval()


def _x(*sides, channels=2):
    sides = sides or (8, 8)
    return torch.randn(2, channels, *sides, generator=torch.Generator().manual_seed(0))


def _chain(supernet, *operations, channels=4):
    """The architecture whose nodes 1, 2, ... with these (skip, kernel) follow each other to the output."""
    a = dict(supernet.space.sample(Random(0)))
    for number, (skip, kernel) in enumerate(operations, start=1):
        a |= {f"node{number}.skip": skip, f"node{number}.kernel": kernel}
        a |= {f"node{number}.op": f"{'skip' if skip else 'down'}_{kernel}x{kernel}"}
        a |= {f"node{number}.input": f"node{number - 1}", f"node{number}.channels": channels}
    a["output"] = f"node{len(operations)}" if operations else "image"
    return {name: value for name, value in a.items() if name in supernet.space}


@pytest.mark.parametrize(("encoding", "variables", "n_theta"), [("categorical", 60, 214), ("mixed", 80, 174)])
def test_space_of_the_paper(encoding, variables, n_theta):
    with torch.device("meta"):  # its weights take 734 MB
        supernet = Supernet(ConvAutoencoder(in_channels=3, image_size=64, encoding=encoding))
    assert len(supernet.space) == variables
    assert ASNG(supernet.space).n_theta == n_theta
    # 20 nodes x (encoder, decoder) x (skip, down) x (1 + 9 + 25) x 256^2, and the output.
    assert sum(p.numel() for p in supernet.parameters()) == 20 * 2 * 2 * 35 * 256**2 + 9 * 256 * 3
    assert supernet.space["node7.input"] == Categorical([f"node{i}" for i in range(2, 7)])
    assert supernet.space["node3.input"] == Categorical(["image", "node1", "node2"])
    assert supernet.space["output"] == Categorical([f"node{i}" for i in range(16, 21)])
    assert "node1.input" not in supernet.space


def test_integers_of_the_paper():
    with torch.device("meta"):
        space = Supernet(ConvAutoencoder(in_channels=3, image_size=64, encoding="mixed")).space
    assert space["node20.channels"] == Integer(64, 256)
    assert space["node1.kernel"] == Integer(1, 5, step=2)
    assert sum(isinstance(variable, Integer) for variable in space.values()) == 40


def _slow_autoencoder(model, a, x):
    """The network written once more, by torch.nn.functional alone and weight by weight."""
    mixed = "node1.skip" in a
    chain, name = [], a["output"]
    while name != "image":
        chain.insert(0, name)
        name = a.get(f"{name}.input", "image")
    stack, sizes = [], []

    def weights_of(name, side):
        op = f"{'skip' if a[f'{name}.skip'] else 'down'}_{a[f'{name}.kernel']}x" if mixed else a[f"{name}.op"]
        prefix = f"nodes.{int(name[4:]) - 1}.{side}.{op.split('x')[0]}"
        (weight,) = (w for n, w in model.named_parameters() if n.startswith(prefix))
        return weight, a[f"{name}.channels"], op.startswith("skip")

    used = []
    for name in chain:
        weight, channels, skip = weights_of(name, "encoders")
        if not skip and 1 in x.shape[2:]:
            continue
        used.append(name)
        sizes.append(x.shape[2:])
        stride = 1 if skip else 2
        weight = weight[:channels, : x.shape[1]]
        x = functional.relu(functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2))
        stack += [x] if skip else []
    for name in reversed(used):
        weight, channels, skip = weights_of(name, "decoders")
        (height, width), kernel = sizes.pop(), weight.shape[-1]
        stride = 1 if skip else 2
        weight = weight[: x.shape[1], :channels]
        x = functional.conv_transpose2d(
            x, weight, stride=stride, padding=kernel // 2, output_padding=stride - 1
        )
        x = functional.relu(x + stack.pop() if skip else x[..., :height, :width])
    return functional.conv_transpose2d(x, model.output.weight[: x.shape[1]], padding=1)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["categorical", "mixed"]),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_network_is_the_one_of_the_definition(seed, encoding, sides):
    supernet = _supernet(encoding=encoding, image_size=sides, columns=7, level_back=3)
    a, x = supernet.space.sample(Random(seed)), _x(*sides)
    y = supernet(x, architecture=a)
    assert y.shape == x.shape
    torch.testing.assert_close(y, _slow_autoencoder(supernet.model, a, x))


@ENCODINGS
def test_only_what_the_output_reaches_is_active_and_run(encoding):
    supernet = _supernet(encoding=encoding)
    a = _chain(supernet, (True, 3), (False, 5))
    run = []
    for name, module in supernet.model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: run.append(name))
    supernet(_x(), architecture=a)
    assert {name.split(".")[1] for name in run if name.startswith("nodes.")} == {"0", "1"}
    assert {name.split(".")[3] for name in run if name.count(".") >= 3} == {"skip_3x3", "down_5x5"}
    per_node = ["skip", "kernel"] if encoding == "mixed" else ["op"]
    wanted = {f"node{i}.{n}" for i in (1, 2) for n in [*per_node, "channels"]} | {"node2.input", "output"}
    assert supernet.active == wanted


@ENCODINGS
def test_nothing_else_changes_the_output_or_gets_a_gradient(encoding):
    supernet = _supernet(encoding=encoding)
    for seed in range(8):
        random = Random(seed)
        a = supernet.space.sample(random)
        supernet.zero_grad(set_to_none=True)
        y = supernet(_x(), architecture=a)
        y.sum().backward()
        nodes = {f"nodes.{int(name[4:].split('.')[0]) - 1}" for name in supernet.active if name != "output"}
        graded = {n.rpartition(".")[0] for n, p in supernet.model.named_parameters() if p.grad is not None}
        assert {".".join(name.split(".")[:2]) for name in graded - {"output"}} <= nodes
        other = dict(supernet.space.sample(random)) | {name: a[name] for name in supernet.active}
        assert torch.equal(supernet(_x(), architecture=other), y)


@ENCODINGS
def test_a_node_that_cannot_halve_is_passed_over_and_its_size_not_read(encoding):
    supernet = _supernet(encoding=encoding, columns=4, image_size=(4, 3))
    a = _chain(supernet, *[(False, 3)] * 4)
    assert supernet(_x(4, 3), architecture=a).shape == (2, 2, 4, 3)
    assert {"node1.channels", "node2.channels", "node4.input"} <= supernet.active
    assert {"node3.channels", "node4.channels", "node3.kernel", "node4.kernel"}.isdisjoint(supernet.active)
    child = supernet.extract(a, example=_x(4, 3))
    assert torch.equal(child(_x(4, 3)), supernet(_x(4, 3), architecture=a))


def test_output_may_be_the_image_where_the_net_is_short():
    supernet = _supernet(columns=2)
    y = supernet(_x(), architecture=_chain(supernet))
    expected = functional.conv_transpose2d(_x(), supernet.model.output.weight[:2], padding=1)
    torch.testing.assert_close(y, expected)
    assert supernet.active == {"output"}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [8, 7])
def test_child_is_exact_in_both_layouts(layout, side):
    # One channel, 1 x 1 kernels and stride 2 are what torch crashes on.
    supernet = _supernet(in_channels=1, image_size=side, channels=(1, 2)).to(memory_format=layout)
    x = _x(side, side, channels=1).contiguous(memory_format=layout)
    for seed in range(8):
        a = supernet.space.sample(Random(seed))
        assert torch.equal(supernet.extract(a, example=x)(x), supernet(x, architecture=a))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoding": "integer"}, r"encoding: expected one of .*'integer'"),
        ({"kernels": (1, 2)}, r"kernels: expected odd sides, got 2"),
        ({"kernels": (1, 3, 7), "encoding": "mixed"}, r"kernels: expected evenly spaced .*\[1, 3, 7\]"),
        ({"channels": ()}, r"channels: expected a sequence of different numbers, got \(\)"),
        ({"channels": (4, 4)}, r"channels: expected a sequence of different numbers"),
        ({"channels": (0, 4)}, r"channels: expected an integer"),
        ({"columns": 0}, r"columns: expected an integer"),
        ({"image_size": (8, 8, 8)}, r"image_size: expected one side, or height and width"),
    ],
)
def test_wrong_arguments_are_errors(changes, message):
    with pytest.raises(InputError, match=message):
        _supernet(**changes)


def test_images_of_another_size_are_errors():
    supernet = _supernet()
    with pytest.raises(InputError, match=r"x: expected a tensor \(batch, 2, 8, 8\), got shape"):
        supernet(_x(8, 7), architecture=supernet.space.sample(Random(0)))
