"""What a search in Python found is trained from scratch, in Python and by the command line."""

import json
import shutil
from unittest.mock import patch

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng
from asng.cli import main
from asng.errors import InputError, RunError
from asng.pipeline.found import drawn_anew
from asng.report import read_log, read_run, write_report
from asng.training import accuracy, score

USERS = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import asng


class Net(nn.Module):
    def __init__(self, most: int = 6) -> None:
        super().__init__()
        self.first = asng.nn.Linear(3, asng.Integer(2, most, label="width"))
        self.act = asng.nn.Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="act")
        self.last = asng.nn.Linear(most, 2)

    def forward(self, x):
        return self.last(self.act(self.first(x)))


def items(seed):
    x = torch.randn(96, 3, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x.sum(dim=1) > 0).long())


def loaders():
    return tuple(DataLoader(items(seed), batch_size=24) for seed in (0, 1, 2))
"""
SHORT = {"epochs": 2, "progress": False}


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A module of a user's, importable from the folder that it lies in."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "own_things.py").write_text(USERS)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield __import__("own_things")


@pytest.fixture(scope="module")
def searched(users, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched") / "run"
    torch.manual_seed(0)
    search = asng.OneShotSearch(
        asng.nn.Supernet(users.Net()), asng.supervised(nn.functional.cross_entropy), maximize=accuracy
    )
    train, valid, _ = users.loaders()
    return search.fit(train, valid, epochs=4, run_dir=folder, progress=False, check=False)


@pytest.fixture
def run(searched, tmp_path, monkeypatch):
    """The search, its folder copied: tests write into it."""
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    monkeypatch.setattr(searched, "folder", folder)
    return searched


ADAM = torch.optim.Adam([nn.Parameter(torch.zeros(1))])


def plain():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_the_log_says_how_long_the_search_took_with_its_final(run, users):
    log = read_log(run.folder / "log.jsonl")
    assert log.end.seconds == pytest.approx(run.seconds, abs=1e-3)


def test_the_folder_becomes_that_of_a_command(run, users):
    train, _, test = users.loaders()
    made = run.retrain(train, test, peers=2, baseline=plain, **SHORT)
    stored = read_run(run.folder).result
    assert (made.found, made.baseline, made.peers) == (stored.found, stored.baseline, stored.random)
    assert (made.metric, made.higher_is_better, len(made.peers)) == ("accuracy", True, 2)
    assert score(made.child, test, accuracy) == made.found.score
    assert type(made.child.first) is nn.Linear
    assert "2 random" in write_report(run.folder).read_text()
    assert "baseline" in made._repr_html_()
    assert f"found {made.found.score:.4g}" in repr(made)


def test_the_same_arguments_give_the_same_networks_and_another_search_has_no_part(run, users):
    train, _, test = users.loaders()
    first = run.retrain(train, test, peers=1, **SHORT)
    with torch.no_grad():
        for weight in run.supernet.parameters():
            weight.mul_(3.0)  # what the search trained is not where training alone begins
    again = run.retrain(train, test, peers=1, **SHORT)
    assert again.found.score == first.found.score
    assert all(map(torch.equal, first.child.parameters(), again.child.parameters()))


def test_without_a_folder_there_are_the_scores_alone(run, users):
    train, _, test = users.loaders()
    with patch.object(run, "folder", None):
        made = run.retrain(train, test, peers=1, **SHORT)
        with pytest.raises(InputError, match="resume: expected a search with a run_dir"):
            run.retrain(train, test, resume=True)
    assert made.folder is None
    assert 0.0 <= made.peers[0].score <= 1.0


def test_a_stopped_retraining_is_gone_on_with(run, users):
    train, _, test = users.loaders()
    whole = run.retrain(train, test, peers=2, **SHORT)
    result = run.folder / "result.json"
    kept = json.loads(result.read_text())
    result.write_text(json.dumps({**kept, "random": kept["random"][:1]}))  # as if killed after the first peer
    again = run.retrain(train, test, peers=2, resume=True, **SHORT)
    assert [one.score for one in again.peers] == [one.score for one in whole.peers]
    with pytest.raises(RunError, match="expected a retraining that was started with"):
        run.retrain(train, test, peers=3, resume=True, **SHORT)


def test_layers_draw_their_weights_anew():
    act = asng.nn.Choice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="act")
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.MultiheadAttention(4, 2), act)
    supernet = asng.nn.Supernet(model)
    model[1](torch.randn(5, 4) + 9.0)
    fresh = drawn_anew(supernet)
    assert not torch.equal(fresh[0].weight, model[0].weight)
    assert not torch.equal(fresh[2].in_proj_weight, model[2].in_proj_weight)
    assert torch.equal(fresh[1].running_mean, torch.zeros(4))


def test_weights_that_nobody_can_draw_anew_are_named():
    model = nn.Sequential(asng.nn.Choice([nn.Linear(3, 4), nn.Linear(3, 4)]))
    model[0].register_module("scale", nn.ParameterList([torch.ones(4)]))
    with pytest.raises(
        InputError, match=r"make: expected a function, because 0.scale \(ParameterList\) has weights"
    ):
        drawn_anew(asng.nn.Supernet(model))


NAMED = ["--model", "own_things.Net", "--data", "own_things.loaders", "--maximize", "accuracy"]


def test_commands_work_on_the_folder_of_a_search_in_python(run, capsys):
    folder = str(run.folder)
    for command in ("retrain", "evaluate", "export"):
        assert main([command, folder]) == 1
        assert "model: expected for" in capsys.readouterr().err
    assert main(["retrain", folder, *NAMED, "--epochs", "2", "--peers", "1", "--quiet"]) == 0
    stored = read_run(run.folder).result
    assert (stored.metric, len(stored.random), stored.steps) == ("accuracy", 1, run.steps)
    capsys.readouterr()
    trusted = ["--trust", "own_things.Net,own_things.loaders"]
    assert main(["evaluate", folder, *trusted]) == 0  # the folder names them now
    assert f"accuracy {stored.found.score:.4f}" in capsys.readouterr().out
    assert main(["evaluate", folder, *NAMED]) == 1
    assert "model: expected none for" in capsys.readouterr().err


def test_commands_score_and_export_what_was_retrained_in_python(run, users, capsys):
    train, _, test = users.loaders()
    made = run.retrain(train, test, peers=0, **SHORT)
    assert main(["evaluate", str(run.folder), *NAMED]) == 0
    assert f"accuracy {made.found.score:.4f}" in capsys.readouterr().out
    assert main(["export", str(run.folder), *NAMED, "--output", str(run.folder / "child.pt2")]) == 0
    x = torch.randn(5, 3)
    program = torch.export.load(run.folder / "child.pt2").module()
    torch.testing.assert_close(program(x), made.child(x))


def test_bad_arguments_are_told_before_anything_is_trained(run, users):
    train, _, test = users.loaders()
    for wrong in ({"epochs": 0}, {"peers": -1}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected an integer"):
            run.retrain(train, test, **wrong)
    kinds = {"optimizer": ADAM, "scheduler": "cosine", "baseline": nn.Linear(3, 2), "make": users.Net()}
    for name, value in kinds.items():
        with pytest.raises(InputError, match=f"^{name}: expected a function .*"):
            run.retrain(train, test, **{name: value})
    with pytest.raises(InputError, match=r"^test: expected a torch\.utils\.data\.DataLoader"):
        run.retrain(train, test.dataset)
    images = DataLoader(TensorDataset(torch.randn(8, 5), torch.zeros(8).long()), batch_size=4)
    with pytest.raises(InputError, match="expected at most in_features = 3"):
        run.retrain(images, images, **SHORT)
    assert not (run.folder / "result.json").exists()
    assert not (run.folder / "child.pt").exists()


def test_networks_without_weights_are_scored_as_they_are():
    torch.manual_seed(0)
    ops = {"linear": nn.Linear(3, 3), "tanh": nn.Tanh(), "skip": nn.Identity()}
    supernet = asng.nn.Supernet(asng.nn.Choice(ops, label="op"))
    x = torch.randn(32, 3)
    data = DataLoader(TensorDataset(x, x), batch_size=8)
    search = asng.OneShotSearch(supernet, asng.supervised(nn.functional.mse_loss), final=0.0)
    found = search.fit(data, data, epochs=1, progress=False)
    found.architecture = asng.Architecture({"op": "skip"})
    made = found.retrain(data, data, peers=2, **SHORT)
    assert made.found.score == 0.0
    assert made.found.parameters == 0
    assert torch.equal(made.child(x), x)
