"""How often a step waits for the device: once for all architectures of a kind, never for each."""

import pytest
import torch
from problems import fit, mse, searcher
from torch.utils._python_dispatch import TorchDispatchMode

from asng.training.objective import checked_value, to_float


class Asked(TorchDispatchMode):
    """Notes in `seen` where a number is asked of the device."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.seen.append("asked")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("lambda_x", "lambda_theta"), [(1, 2), (3, 4)])
def test_no_number_is_asked_for_between_the_passes_of_a_step(lambda_x, lambda_theta):
    seen = []

    def loss(forward, batch):
        seen.append("trained" if torch.is_grad_enabled() else "scored")
        return mse(forward, batch)

    search = searcher(loss=loss, lam_x=lambda_x, lam_theta=lambda_theta, warmup=0.0)
    with Asked(seen):
        fit(search, epochs=1)
    trained = seen.index("trained")
    assert seen[trained : trained + lambda_x + 1] == ["trained"] * lambda_x + ["asked"]
    scored = seen.index("scored")
    assert seen[scored : scored + lambda_theta + 1] == ["scored"] * lambda_theta + ["asked"]


@pytest.mark.parametrize("value", [torch.tensor([2.5]), torch.tensor(torch.nan), torch.tensor(3)])
def test_a_number_in_a_tensor_is_checked_without_asking_for_it(value):
    seen = []
    with Asked(seen):
        checked = checked_value(value.clone(), "loss", mse)
        assert seen == []
        assert repr(to_float(checked)) == repr(float(value))
    assert seen != []
