"""Parameters and multiply-adds are what one counts by hand, on the device and on the meta device."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from asng.costs import activation_memory, latency, multiply_adds, parameters, stored_bytes
from asng.costs.measures import MEASURES, is_timed, measure_of, name_of, needs_numbers
from asng.costs.places import meta_copy
from asng.errors import InputError
from asng.training.data.nested import to_device


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x):
        return x + self.inner(x)


def conv_net():
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), Residual(), nn.Dropout(0.5), pool, nn.Linear(4, 2))


def test_shared_weights_count_once_and_buffers_not_at_all():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.BatchNorm1d(3, affine=False), layer)
    assert parameters(model, (torch.ones(2, 3),)) == 12.0


# (model, inputs, multiply-adds by hand)
BY_HAND = {
    "linear": (nn.Linear(3, 5), torch.ones(7, 3), 7 * 3 * 5),
    "elementwise functions and norms are free": (
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.GELU(), nn.Softmax(dim=1)),
        torch.ones(7, 3),
        7 * 3 * 5,
    ),
    "convolution": (nn.Conv2d(3, 4, 5), torch.ones(2, 3, 9, 8), 2 * 4 * 5 * 4 * 3 * 25),
    "grouped convolution": (nn.Conv2d(4, 8, 3, groups=4), torch.ones(2, 4, 5, 5), 2 * 8 * 9 * 1 * 9),
    "one layer twice": (nn.Sequential(*[nn.Linear(4, 4)] * 2), torch.ones(1, 4), 2 * 16),
    "recurrence": (nn.LSTM(3, 5), torch.ones(6, 2, 3), 6 * 2 * 4 * 5 * (3 + 5)),
    "recurrence, packed": (
        nn.LSTM(3, 5),
        pack_sequence([torch.ones(4, 3), torch.ones(2, 3)]),
        6 * 4 * 5 * (3 + 5),
    ),
    "attention": (
        # Four projections, scores and their sums, the two layers behind.
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        torch.ones(2, 5, 8),
        2 * 5 * 4 * 64 + 2 * 2 * 2 * 25 * 4 + 2 * 5 * 2 * 8 * 16,
    ),
}


@pytest.mark.parametrize("where", ["cpu", "meta"])
@pytest.mark.parametrize("case", BY_HAND)
def test_multiply_adds_are_those_counted_by_hand(case, where):
    model, inputs, expected = BY_HAND[case]
    model = meta_copy(model) if where == "meta" else model
    assert multiply_adds(model, (to_device(inputs, torch.device(where)),)) == expected


@pytest.mark.parametrize("measure", [parameters, multiply_adds, activation_memory])
def test_the_meta_device_counts_the_same(measure):
    model, x = conv_net(), torch.ones(2, 3, 9, 9)
    on_cpu = measure(model, (x,))
    # A batch norm returns two vectors more on the meta device.
    allowed = 4 * 8 if measure is activation_memory else 0
    assert on_cpu <= measure(meta_copy(model), (x.to("meta"),)) <= on_cpu + allowed
    model[1].inner[1] = nn.Identity()
    assert measure(meta_copy(model), (x.to("meta"),)) == measure(model, (x,)) > 0


@pytest.mark.parametrize("measure", [multiply_adds, activation_memory, latency])
def test_a_measure_leaves_the_network_as_it_was(measure):
    model, x = conv_net().train(), torch.ones(2, 3, 9, 9)
    model[1].inner[1].eval()
    modes, state = (
        [m.training for m in model.modules()],
        {k: v.clone() for k, v in model.state_dict().items()},
    )
    generator = torch.get_rng_state()
    measure(model, (x,))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)  # dropout was off
    assert all(p.grad is None for p in model.parameters())


def test_counting_puts_the_fused_kernels_back_although_the_network_fails():
    backends = torch.backends.mkldnn, torch.backends.cudnn
    before = [backend.enabled for backend in backends]
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        multiply_adds(nn.Linear(3, 5), (torch.ones(7, 4),))
    assert [backend.enabled for backend in backends] == before
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_copy_on_the_meta_device_shares_what_the_model_shares():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    copy = meta_copy(nn.Sequential(layer, nn.BatchNorm1d(2), layer))
    assert copy[0] is copy[2]
    assert not copy[0].bias.requires_grad
    tensors = [*copy.parameters(), *copy.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


# --- names ---------------------------------------------------------------------------------------------


def mine(child, inputs):
    return 1.0


class Energy:
    def __call__(self, child, inputs):
        return 2.0


@pytest.mark.parametrize("name", MEASURES)
def test_all_measures_are_known_by_name(name):
    assert measure_of(name) is MEASURES[name]
    assert name_of(MEASURES[name]) == name_of(name) == name
    assert needs_numbers(MEASURES[name]) == is_timed(MEASURES[name]) == ("latency" in name)


def test_bytes_are_of_weights_and_buffers_by_their_types_shared_ones_once():
    layer, norm = nn.Linear(3, 3).half(), nn.BatchNorm1d(3)  # which has a counter of 8 bytes
    model = nn.Sequential(layer, norm, layer)
    model.register_buffer("passing", torch.ones(100), persistent=False)
    assert stored_bytes(model) == 2 * 12 + 4 * 4 * 3 + 8
    assert stored_bytes(meta_copy(model)) == stored_bytes(model)


@pytest.mark.parametrize(
    ("measure", "name"), [(mine, "mine"), (Energy(), "Energy"), (partial(latency, repeats=3), "latency")]
)
def test_a_function_of_ones_own_is_called_by_its_name(measure, name):
    assert measure_of(measure) is measure
    assert name_of(measure) == name
    assert needs_numbers(measure)


def test_an_unknown_measure_is_told_the_nearest_name():
    with pytest.raises(InputError, match=r"measure: .* got 'latncy'\. Did you mean 'latency'"):
        measure_of("latncy")
    with pytest.raises(InputError, match=r"measure: expected one of parameters, .* or a function .* got 3"):
        measure_of(3)


class Lends(nn.Module):
    """One module reads the weight of another, as it is given it."""

    def __init__(self):
        super().__init__()
        self.own, self.other = nn.Linear(3, 2), Applies()

    def forward(self, x):
        return self.other(self.own(x), self.own.weight)


class Applies(nn.Module):
    def forward(self, x, weight):
        return x @ weight


def test_a_weight_that_one_module_gives_another_is_no_obstacle():
    with torch.inference_mode():
        assert multiply_adds(Lends(), (torch.ones(5, 3),)) == 5 * (3 * 2 + 2 * 3)
