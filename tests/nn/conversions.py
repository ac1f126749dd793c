"""What holds of every model that was converted, for the tests of its kinds."""

import random

import torch

from asng.nn.inputs import tensors_of


def outputs(function, *args, **kwargs):
    with torch.no_grad():
        return list(tensors_of(function(*args, **kwargs)))


def check_children(model, x, supernet, *, architectures=5):
    """The largest child has the weights that were given; all are plain, and what the supernet computes."""
    supernet.eval()
    given = x if isinstance(x, tuple) else (x,)
    whole = supernet.extract({key: v.high for key, v in supernet.space.items()}, example=x)
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in model.state_dict().items())
    for seed in range(architectures):
        architecture = supernet.space.sample(random.Random(seed))
        child = supernet.extract(architecture, example=x).eval()
        assert [type(part) for part in child.modules()] == [type(part) for part in model.modules()]
        computed = outputs(supernet, *given, architecture=architecture)
        assert all(torch.equal(a, b) for a, b in zip(outputs(child, *given), computed, strict=True))
