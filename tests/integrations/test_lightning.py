"""A search inside Lightning's Trainer."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from trainer_problems import loader, loss, network

pytest.importorskip("lightning")

import lightning
from lightning.pytorch.callbacks import LearningRateFinder, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.environments import LightningEnvironment

import asng
from asng.errors import InputError, RunError
from asng.integrations.lightning import ASNGCallback
from asng.nn.selection import current_selection

# Of Lightning's about its own parts, and about loaders without workers.
pytestmark = pytest.mark.filterwarnings("ignore:::lightning", "ignore:::torch", "ignore:::pytorch_lightning")


class Module(lightning.LightningModule):
    def __init__(self, norm=False):
        super().__init__()
        self.lr, self.net, self.followed, self.validated = 0.1, network(norm), [], []

    def training_step(self, batch, number):
        self.followed.append(dict(current_selection().values))
        return loss(self.net, batch)

    def validation_step(self, batch, number):
        self.validated.append(
            (dict(current_selection().values), dict(self.trainer.callbacks[0].architecture))
        )
        self.log("val", loss(self.net, batch))

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def trainer(folder, callbacks, **settings):
    # The environment is given: to look for one, Lightning loads mpi4py, which may be there without MPI.
    quiet = {
        "plugins": [LightningEnvironment()],
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    settings = {"max_epochs": 2, "accelerator": "cpu", "enable_checkpointing": False} | quiet | settings
    return lightning.Trainer(default_root_dir=folder, callbacks=callbacks, **settings)


def callback_of(module, **settings):
    return ASNGCallback(asng.nn.Supernet(module.net), loader(seed=1), minimize=loss, **settings)


def test_theta_moves_and_the_child_is_plain(tmp_path):
    module = Module()
    callback = callback_of(module, warmup=0.25)
    trainer(tmp_path, [callback]).fit(module, loader(), loader(seed=2))
    assert len(module.followed) == callback.search.taken == 16
    assert callback.search.theta.generation == 12
    assert len({tuple(one.items()) for one in module.followed}) > 3
    assert all(followed == likeliest for followed, likeliest in module.validated)
    child, (x, _) = callback.child(), next(iter(loader()))
    with callback.search.supernet.following(callback.architecture):
        torch.testing.assert_close(child(x), module.net.eval()(x))
    assert current_selection() is None


def test_a_resumed_fit_goes_on_to_the_same_bits(tmp_path):
    whole, parts = Module(), Module()
    callback = callback_of(whole)
    trainer(tmp_path, [callback], max_epochs=4).fit(whole, loader())
    first = callback_of(parts)
    # At the end of an epoch: within one, Lightning begins a loader anew, and trains on other batches.
    saving = ModelCheckpoint(
        tmp_path / "saved", "{epoch}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True
    )

    class Stopped(lightning.Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.global_step == 20

    settings = {"max_epochs": 4, "enable_checkpointing": True}
    trainer(tmp_path, [first, Stopped(), saving], **settings).fit(parts, loader())
    again = Module()
    second = callback_of(again)
    trainer(tmp_path, [second], max_epochs=4).fit(
        again, loader(), ckpt_path=tmp_path / "saved" / "epoch=1.ckpt", weights_only=True
    )
    assert len(again.followed) == 32 - 16
    assert second.search.theta.state_dict() == callback.search.theta.state_dict()
    assert all(map(torch.equal, whole.net.state_dict().values(), again.net.state_dict().values()))


def test_figures_go_to_the_loggers(tmp_path):
    module, logger = Module(), CSVLogger(tmp_path)
    trainer(tmp_path, [callback_of(module)], logger=logger, log_every_n_steps=1).fit(module, loader())
    logged = [row for row in logger.experiment.metrics if "asng/entropy" in row]
    text = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    assert logged or text.count("\n") > 8
    assert {"asng/objective", "asng/entropy", "asng/delta"} <= set(text.splitlines()[0].split(","))


def test_accumulated_gradients_count_as_batches(tmp_path):
    module = Module()
    callback = callback_of(module)
    trainer(tmp_path, [callback], accumulate_grad_batches=4).fit(module, loader())
    assert callback.search.theta.generation == 8


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_validation_and_test_alone_follow_the_likeliest_architecture(stage, tmp_path):
    module = Module()
    callback = callback_of(module)
    whole = trainer(tmp_path, [callback], enable_checkpointing=True)
    run = getattr(whole, stage)
    for fitted in (False, True):
        if fitted:
            whole.fit(module, loader())
        run(module, loader(seed=2), verbose=False)
        assert all(followed == likeliest for followed, likeliest in module.validated)
        assert current_selection() is None
    run(module, loader(seed=2), verbose=False, ckpt_path=whole.checkpoint_callback.best_model_path)
    assert len(module.validated) == 3 * 8
    assert module.validated[-1][0] == dict(callback.architecture)


def test_a_learning_rate_is_looked_for_with_the_likeliest_architecture(tmp_path):
    module = Module()
    callback, finder = callback_of(module), LearningRateFinder(num_training_steps=10)
    trainer(tmp_path, [callback, finder], enable_checkpointing=True).fit(module, loader())
    assert finder.optimal_lr is not None
    assert callback.search.taken == 16


@pytest.mark.parametrize(("precision", "dtype"), [("64-true", torch.float64), ("bf16-true", torch.bfloat16)])
def test_architectures_are_scored_in_the_precision_of_the_trainer(precision, dtype, tmp_path):
    module = Module(norm=True)
    callback = callback_of(module)
    trainer(tmp_path, [callback], precision=precision).fit(module, loader())
    assert callback.search.theta.generation == 8
    assert {weight.dtype for weight in callback.child().parameters()} == {dtype}


def test_a_checkpoint_without_a_search_is_refused(tmp_path):
    module = Module()
    saving = ModelCheckpoint(tmp_path, "first")
    with asng.nn.following(asng.nn.Supernet(module.net).space.decode([4.0, 0.0])):
        trainer(tmp_path, [saving], max_epochs=1, enable_checkpointing=True).fit(module, loader())
    again = Module()
    with pytest.raises(RunError, match="ckpt_path: expected a checkpoint of a training with ASNGCallback"):
        trainer(tmp_path, [callback_of(again)]).fit(
            again, loader(), ckpt_path=tmp_path / "first.ckpt", weights_only=True
        )
    assert current_selection() is None


def test_an_error_leaves_nothing_followed(tmp_path):
    class Failing(Module):
        def training_step(self, batch, number):
            raise ValueError("of the user")

    module = Failing()
    with pytest.raises(ValueError, match="of the user"):
        trainer(tmp_path, [callback_of(module)]).fit(module, loader())
    assert current_selection() is None


def test_a_training_without_an_end_is_told(tmp_path):
    module = Module()
    with pytest.raises(InputError, match="expected a training whose length is known"):
        trainer(tmp_path, [callback_of(module)], max_epochs=-1).fit(module, loader())


def _in_a_process(folder):
    warnings.simplefilter("ignore")
    module = Module()
    callback = callback_of(module)
    ddp = lightning.pytorch.strategies.DDPStrategy(
        find_unused_parameters=True, process_group_backend="gloo", start_method="popen"
    )
    trainer(folder, [callback], devices=2, strategy=ddp).fit(module, loader())
    rank = torch.distributed.get_rank()
    state = {
        "theta": callback.search.theta.state_dict(),
        "net": module.net.state_dict(),
        "followed": module.followed,
    }
    torch.save(state, folder / f"{rank}.pt")


if __name__ == "__main__":  # started once, and by Lightning once more
    _in_a_process(Path(sys.argv[1]))


@pytest.mark.slow
def test_two_processes_follow_the_same_and_move_theta_alike(tmp_path):
    paths = [str(Path(asng.__path__[0]).parent), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, str(tmp_path)]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["theta"] == second["theta"]
    assert first["followed"] == second["followed"]
    assert len(first["followed"]) == 8  # each has half of the batches
    assert first["theta"]["generation"] == 4
    assert all(torch.equal(value, second["net"][name]) for name, value in first["net"].items())
