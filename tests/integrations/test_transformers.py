"""A search inside the Trainer of transformers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from trainer_problems import data, network

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

import asng
from asng.errors import InputError, RunError
from asng.integrations.transformers import ASNGTrainerCallback
from asng.nn.selection import current_selection

pytestmark = pytest.mark.filterwarnings("ignore:::transformers", "ignore:::accelerate", "ignore:::torch")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.followed = network(), []

    def forward(self, x, labels=None):
        self.followed.append((self.training, dict(current_selection().values)))
        logits = self.net(x)
        loss = None if labels is None else nn.functional.mse_loss(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


class Items(Dataset):
    def __init__(self, n=64, seed=0):
        self.x, self.y = data(n, seed).tensors

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"x": self.x[index], "labels": self.y[index]}


def trainer(folder, model, callback, **settings):
    settings = {"num_train_epochs": 2, "learning_rate": 0.01, "eval_strategy": "epoch"} | settings
    arguments = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, seed=0, logging_steps=1000, **settings
    )
    return Trainer(model, arguments, train_dataset=Items(), eval_dataset=Items(seed=2), callbacks=[callback])


def callback_of(model, **settings):
    return ASNGTrainerCallback(asng.nn.Supernet(model), DataLoader(Items(seed=1), batch_size=8), **settings)


def test_theta_moves_and_the_child_is_plain(tmp_path):
    model = Net()
    callback = callback_of(model, warmup=0.25)
    trainer(tmp_path, model, callback).train()
    trained = [tuple(values.items()) for training, values in model.followed if training]
    assert len(trained) == callback.search.taken == 16
    assert len(set(trained)) > 3
    assert callback.search.theta.generation == 12
    assert current_selection() is None
    child, batch = callback.child(), next(iter(DataLoader(Items(), batch_size=8)))
    with callback.search.supernet.following(callback.architecture):
        torch.testing.assert_close(child.net(batch["x"]), model.eval().net(batch["x"]))


def test_it_evaluates_the_likeliest(tmp_path):
    model = Net()
    callback = callback_of(model, warmup=1.0)  # theta does not move: neither does the likeliest
    trainer(tmp_path, model, callback).train()
    evaluated = [values for training, values in model.followed if not training]
    assert evaluated == [dict(callback.architecture)] * len(evaluated) != []


def test_after_the_training_it_evaluates_inside_a_block(tmp_path):
    model = Net()
    callback = callback_of(model)
    whole = trainer(tmp_path, model, callback)
    whole.train()
    with callback.search.supernet.following(callback.architecture):
        whole.evaluate()
    assert model.followed[-1] == (False, dict(callback.architecture))


def test_a_resumed_training_goes_on_to_the_same_bits(tmp_path):
    settings = {"save_steps": 8, "eval_strategy": "no", "num_train_epochs": 4}
    whole, again = Net(), Net()
    first, second = callback_of(whole), callback_of(again)
    trainer(tmp_path / "whole", whole, first, **settings).train()
    folder = tmp_path / "whole" / "checkpoint-24"
    trainer(tmp_path / "parts", again, second, **settings).train(resume_from_checkpoint=str(folder))
    assert second.search.taken == 32
    assert second.search.theta.state_dict() == first.search.theta.state_dict()
    assert all(map(torch.equal, whole.state_dict().values(), again.state_dict().values()))


def test_a_checkpoint_without_theta_is_one_error(tmp_path):
    model = Net()
    callback = callback_of(model)
    trainer(tmp_path, model, callback, save_steps=8).train()
    state = tmp_path / "checkpoint-8" / "trainer_state.json"
    content = json.loads(state.read_text())
    del content["stateful_callbacks"]["ASNGTrainerCallback"]
    state.write_text(json.dumps(content))
    with pytest.raises(RunError, match="expected a checkpoint of a training with ASNGTrainerCallback"):
        trainer(tmp_path, model, callback).train(resume_from_checkpoint=str(state.parent))


def test_accumulated_steps_follow_one_architecture(tmp_path):
    model = Net()
    callback = callback_of(model)
    trainer(tmp_path, model, callback, gradient_accumulation_steps=4, eval_strategy="no").train()
    trained = [values for training, values in model.followed if training]
    assert len(trained) == 16
    assert all(trained[k] == trained[k - k % 4] for k in range(16))
    assert callback.search.taken == 4


def test_batches_without_labels_are_told():
    batches = DataLoader([{"x": torch.ones(3)}], batch_size=1)
    callback = ASNGTrainerCallback(asng.nn.Supernet(Net()), batches)
    with pytest.raises(InputError, match="expected a model that returns a loss, got none for a batch of x"):
        callback.search.move_theta()


def test_a_model_of_transformers_is_narrowed(tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=16, **sizes))
    tokens = torch.randint(0, 50, (64, 8))
    items = [{"input_ids": row, "labels": (row[0] > 25).long()} for row in tokens]
    supernet = asng.nn.searchable(model, {"input_ids": tokens[:4]})
    callback = ASNGTrainerCallback(supernet, DataLoader(items, batch_size=8))
    arguments = TrainingArguments(
        tmp_path, num_train_epochs=2, use_cpu=True, report_to="none", disable_tqdm=True
    )
    Trainer(supernet.model, arguments, train_dataset=items, callbacks=[callback]).train()
    child = callback.child()
    assert isinstance(child, BertForSequenceClassification)
    assert sum(p.numel() for p in child.parameters()) < sum(p.numel() for p in model.parameters())
    assert child(input_ids=tokens[:4]).logits.shape == (4, 2)


if __name__ == "__main__":  # by torchrun
    folder, model = Path(sys.argv[1]), Net()
    callback = callback_of(model)
    settings = {"ddp_backend": "gloo", "ddp_find_unused_parameters": True, "eval_strategy": "no"}
    trainer(folder / "out", model, callback, per_device_train_batch_size=4, **settings).train()
    followed = [values for training, values in model.followed if training]
    state = {"theta": callback.search.theta.state_dict(), "net": model.state_dict(), "followed": followed}
    torch.save(state, folder / f"{os.environ['RANK']}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_follow_the_same_and_move_theta_alike(tmp_path):
    paths = [str(Path(asng.__path__[0]).parent), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*words, __file__, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["theta"] == second["theta"]
    assert first["followed"] == second["followed"]
    assert first["theta"]["generation"] == len(first["followed"]) // 2 > 0
    assert all(torch.equal(value, second["net"][name]) for name, value in first["net"].items())
