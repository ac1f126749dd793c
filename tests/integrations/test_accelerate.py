"""A search inside a loop of accelerate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trainer_problems import loader, loss, network

pytest.importorskip("accelerate")

from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

import asng
from asng.errors import RunError
from asng.integrations.accelerate import AcceleratedSearch
from asng.nn.selection import current_selection

pytestmark = pytest.mark.filterwarnings("ignore:::accelerate", "ignore:::torch")


@pytest.fixture(autouse=True)
def alone():
    AcceleratorState._reset_state(reset_partial_state=True)


def prepared(**settings):
    """Return an accelerator, a network, what it prepared, and the search."""
    parts = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator, net = Accelerator(cpu=True, kwargs_handlers=[parts]), network()
    settings = {"steps": 16, "minimize": loss} | settings
    search = AcceleratedSearch(accelerator, asng.nn.Supernet(net), loader(seed=1), **settings)
    descent = torch.optim.SGD(net.parameters(), lr=0.1)
    return accelerator, net, accelerator.prepare(net, descent, loader()), search


def train(accelerator, model, descent, search, batches):
    followed = []
    for batch in batches:
        with search.step():
            followed.append(dict(current_selection().values))
            accelerator.backward(loss(model, batch))
            descent.step()
            descent.zero_grad()
    return followed


def test_theta_moves_and_the_child_is_plain():
    accelerator, net, (model, descent, batches), search = prepared()
    for _ in range(2):
        train(accelerator, model, descent, search, batches)
    assert search.theta.generation == 8
    child, (x, _) = search.child(), next(iter(loader()))
    torch.testing.assert_close(child(x), net.eval()(x))  # which follows the likeliest
    search.stop()
    assert current_selection() is None


def test_save_state_and_load_state_resume_to_the_same_bits(tmp_path):
    accelerator, whole, (model, descent, batches), search = prepared()
    train(accelerator, model, descent, search, batches)
    accelerator.save_state(tmp_path)
    train(accelerator, model, descent, search, batches)
    search.stop()
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator, again, (model, descent, batches), second = prepared()
    accelerator.load_state(tmp_path)
    assert second.taken == 8
    train(accelerator, model, descent, second, batches)
    second.stop()
    assert second.theta.state_dict() == search.theta.state_dict()
    assert all(map(torch.equal, whole.state_dict().values(), again.state_dict().values()))


def test_a_folder_without_theta_is_one_error(tmp_path):
    accelerator, _, _, search = prepared()
    accelerator.save_state(tmp_path)
    (tmp_path / "theta.pt").unlink()
    with pytest.raises(RunError, match=r"theta\.pt: expected the state of a search, found no file"):
        accelerator.load_state(tmp_path)
    search.stop()


def test_a_step_that_fails_does_not_count():
    _, _, _, search = prepared()
    with pytest.raises(ValueError, match="of the user"), search.step():
        raise ValueError("of the user")
    assert search.taken == 0
    assert dict(current_selection().values) == dict(search.architecture)
    search.stop()


if __name__ == "__main__":  # by torchrun
    accelerator, net, (model, descent, batches), search = prepared(steps=8)
    followed = [one for _ in range(2) for one in train(accelerator, model, descent, search, batches)]
    search.stop()
    state = {"theta": search.theta.state_dict(), "net": net.state_dict(), "followed": followed}
    torch.save(state, Path(sys.argv[1]) / f"{accelerator.process_index}.pt")
    accelerator.end_training()


@pytest.mark.slow
def test_two_processes_follow_the_same_and_move_theta_alike(tmp_path):
    home = Path(__file__).parent
    paths = [str(Path(asng.__path__[0]).parent), str(home), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*words, __file__, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["theta"] == second["theta"]
    assert first["followed"] == second["followed"]
    assert len(first["followed"]) == 8  # each has half of the batches
    assert first["theta"]["generation"] == 4
    assert all(torch.equal(value, second["net"][name]) for name, value in first["net"].items())
