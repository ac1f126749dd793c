import json
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asng.errors import InputError
from asng.nn import Supernet
from asng.supernets import ConvAutoencoder, autoencoder_graph

SIZE = {"columns": 8, "level_back": 3}


def _graph(supernet, a, side=(8, 5)):
    return autoencoder_graph(a, **SIZE, image_size=side)


@given(seed=st.integers(0, 10**6), encoding=st.sampled_from(["categorical", "mixed"]))
def test_graph_shows_the_layers_that_run(seed, encoding):
    with torch.device("meta"):
        supernet = Supernet(ConvAutoencoder(in_channels=3, image_size=(8, 5), encoding=encoding, **SIZE))
    a = supernet.space.sample(Random(seed))
    run = []
    for module in supernet.model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(lambda module, _, y: run.append((module, tuple(y.shape[1:]))))
    supernet(torch.empty(1, 3, 8, 5, device="meta"), architecture=a)
    graph = _graph(supernet, a)
    assert json.loads(json.dumps(graph)) == graph
    operations = [edge["label"] for edge in graph["edges"] if edge["label"] != "skip"]
    assert [int(label[0]) for label in operations] == [module.kernel_size[0] for module, _ in run]
    # Where a 1 x 1 kernel halves, other modules do it.
    strides = [("down" in label) or ("up" in label) for label in operations if label[0] != "1"]
    assert strides == [module.stride[0] == 2 for module, _ in run if module.kernel_size[0] != 1]
    channels = [shape[0] for _, shape in run[:-1]]
    assert [int(node["label"].split()[0]) for node in graph["nodes"][1:-1]] == channels
    downs, ups = (sum(word in label for label in operations) for word in ("down", "up"))
    assert downs == ups
    assert len(operations) == 2 * (downs + sum(e["label"] == "skip" for e in graph["edges"])) + 1


def test_architecture_of_another_network_is_an_error():
    with pytest.raises(InputError, match=r"architecture: expected the variable 'output', got none"):
        autoencoder_graph({"node1.op": "skip_1x1"}, columns=3, level_back=2, image_size=(8, 8))
