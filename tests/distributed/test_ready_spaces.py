"""The paper's networks in two processes beside one, in double precision: alike but for the order of sums."""

import pytest
import torch
from processes import values
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from asng.nn import Supernet
from asng.search import OneShotSearch
from asng.supernets import ConvAutoencoder, EnasCellNetwork
from asng.training import supervised


def found(kind, lam_x):
    """Search among cells or autoencoders for a few steps; return theta, and all weights as one list."""
    torch.manual_seed(0)
    images = torch.rand(22, 3, 16, 16)
    if kind == "autoencoder":
        model = ConvAutoencoder(in_channels=3, image_size=16, columns=6, level_back=3, channels=(4, 8))
        targets, loss = images.double(), supervised(nn.functional.mse_loss)
    else:
        cells = {"cells": 3, "nodes": 2, "channels": 4, "recompute": kind == "recomputed"}
        model = EnasCellNetwork(in_channels=3, classes=3, image_size=16, **cells)
        targets, loss = torch.randint(3, (22,)), supervised(nn.functional.cross_entropy)
    supernet = Supernet(model.double())
    search = OneShotSearch(supernet, loss, final=0.0, lam_x=lam_x, warmup=0.0)
    loader = DataLoader(TensorDataset(images.double(), targets), batch_size=8, shuffle=True)
    search.fit(loader, loader, epochs=2, progress=False)
    weights = torch.cat([weight.reshape(-1) for weight in supernet.state_dict().values()])
    return search.architecture_optimizer.state_dict()["theta"], weights.tolist()


@pytest.mark.parametrize(("kind", "lam_x"), [("cells", 2), ("autoencoder", 4), ("recomputed", 2)])
@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(kind, lam_x):
    (theta, one), (other, two) = values(found, kind, lam_x, size=1)[0], values(found, kind, lam_x)[0]
    assert theta == other
    torch.testing.assert_close(torch.tensor(two), torch.tensor(one), rtol=1e-9, atol=1e-9)
