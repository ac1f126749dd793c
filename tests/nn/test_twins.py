"""What every twin of a layer of torch must do: the claims of `asng.testing`, and its errors."""

import pickle
from random import Random

import pytest
import torch
from torch import nn
from twin_cases import CASES

from asng import nn as snn
from asng.errors import InputError
from asng.nn import Supernet, Twin
from asng.space import Integer
from asng.testing import LAYER_CLAIMS, TWIN_CLAIMS


@pytest.mark.parametrize("claim", [*LAYER_CLAIMS, *TWIN_CLAIMS], ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("name", CASES)
def test_every_twin_keeps_what_a_searchable_layer_promises(name, claim):
    claim(CASES[name])


STACKS = (snn.TransformerEncoder, snn.TransformerDecoder)
NO_WIDTH = (nn.Embedding, nn.EmbeddingBag, nn.Dropout)
CHANNELS = [
    ((nn.Conv1d, nn.ConvTranspose1d, nn.InstanceNorm1d), -2),
    ((nn.Conv2d, nn.ConvTranspose2d, nn.InstanceNorm2d), -3),
    ((nn.Conv3d, nn.ConvTranspose3d, nn.InstanceNorm3d), -4),
    ((nn.GroupNorm, nn.PReLU, nn.modules.batchnorm._BatchNorm), 1),
]
"""Where the input of a layer has its width; at the end by default."""


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    return CASES[request.param]()


@pytest.fixture
def supernet(case):
    return Supernet(case.model).eval()


def first(case, supernet):
    """An architecture, and inputs."""
    return supernet.space.sample(Random(0)), case.inputs[0]


def test_pickles_are_twins(case, supernet):
    a, inputs = first(case, supernet)
    twin = pickle.loads(pickle.dumps(supernet))  # noqa: S301 - our own
    assert torch.equal(twin(*inputs, architecture=a), supernet(*inputs, architecture=a))


def test_input_wider_than_the_layer_names_its_path(case, supernet):
    layer = case.model.layer
    plain = isinstance(layer, STACKS) and not isinstance(layer.layers[0], Twin)
    if plain or isinstance(layer, NO_WIDTH) or (isinstance(layer, nn.PReLU) and layer.num_parameters == 1):
        pytest.skip("its input has no width")
    a, (x, *others) = first(case, supernet)
    wide = torch.cat([x] * 8, dim=next((dim for kinds, dim in CHANNELS if isinstance(layer, kinds)), -1))
    with pytest.raises(InputError, match=r"module 'layer.*' \(asng\.nn\.\w+\): expected at most"):
        supernet(wide, *others, architecture=a)


def test_twin_without_an_example_says_what_it_needs(case, supernet):
    a, _ = first(case, supernet)
    if not any(isinstance(m, Twin) and not isinstance(m, STACKS) for m in supernet.modules()):
        pytest.skip("a stack of plain layers needs none")
    with pytest.raises(InputError, match=r"example: expected an input.*extract\(architecture, example=x\)"):
        supernet.extract(a)


def test_layer_called_with_two_widths_has_no_plain_form():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = snn.Linear(8, Integer(2, 4, label="out"))

        def forward(self, x):
            return self.layer(x) + self.layer(x[:, :5])

    supernet = Supernet(Twice())
    with pytest.raises(InputError, match=r"module 'layer' .*several calls of different widths.*two layers"):
        supernet.extract({"out": 3}, example=torch.ones(2, 8))


def test_layer_that_the_example_does_not_run_is_kept_at_its_largest_width_and_said():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = snn.Linear(4, Integer(2, 4, label="out")), snn.Linear(5, 4)

        def forward(self, x):
            return self.used(x)

    with pytest.warns(UserWarning, match=r"ran idle\..* The width of idle is its largest"):
        child = Supernet(Idle()).extract({"out": 3}, example=torch.ones(2, 4))
    assert child.idle.in_features == 5


def test_rate_of_dropout_is_active_in_training_only():
    supernet, a = Supernet(CASES["Dropout"]().model), {"rate": 0.3, "other": 0}
    supernet(torch.ones(3), architecture=a)
    assert supernet.active == {"rate", "other"}
    supernet.eval()(torch.ones(3), architecture=a)
    assert supernet.active == {"other"}


def test_searched_rate_drops_as_often_as_it_says():
    # 20,000 draws at rate 0.3: the share lies within 5 sd = 0.016 but for 6 in 10^7 seeds.
    torch.manual_seed(0)
    supernet = Supernet(CASES["Dropout"]().model.layer)
    dropped = supernet(torch.ones(20_000), architecture={"rate": 0.3}) == 0
    assert abs(dropped.float().mean() - 0.3) < 0.016
