"""asng compress: a trained model of a user's, from the command line to its children and their report."""

import json

import pytest
import torch

from asng.cli import main
from asng.runs.folder import COMPRESSION_LOG
from asng.runs.log import JsonLines

CODE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


def _data(n, seed):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def pair():
    return DataLoader(_data(96, 0), batch_size=16, shuffle=True), DataLoader(_data(48, 1), batch_size=48)


def three():
    return {"train": pair()[0], "valid": pair()[1], "test": DataLoader(_data(40, 2), batch_size=40)}


def nothing():
    return {"validation": pair()[1]}


def bare():
    return _data(9, 0)


NUMBER = 3
"""
QUICK = ["--epochs", "1", "--evaluations", "8", "--finalists", "2", "--onnx", "false", "--quiet"]
MODEL = ["--model", "mine.load"]


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)
    return tmp_path


def compressed(words, capsys):
    code = main(["compress", *MODEL, *QUICK, *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_model_is_halved(at_home, capsys):
    words = [
        "--data",
        "mine.pair",
        "--budget",
        "multiply_adds=0.5",
        "--maximize",
        "accuracy",
        "--run-dir",
        "half",
    ]
    code, out, _ = compressed(words, capsys)
    assert code == 0
    assert "multiply_adds-0.5" in out
    told = json.loads((at_home / "half/compression.json").read_text())
    assert told["metric"] == "accuracy"
    child, model = told["children"][0], told["model"]
    assert child["costs"]["multiply_adds"] <= 0.5 * model["costs"]["multiply_adds"]
    assert child["limits"] == {"multiply_adds": 0.5 * model["costs"]["multiply_adds"]}
    assert "Layers of the child" in (at_home / "half/report.html").read_text()
    weights = torch.load(at_home / "half/multiply_adds-0.5/child.pt", weights_only=True)["state_dict"]
    assert list(weights["0.weight"].shape) == [child["widths"]["0"][0], 6]
    # The same command with --resume does nothing again, and asng report makes the page anew.
    log = (at_home / "half/compression.jsonl").read_bytes()
    assert compressed([*words, "--resume"], capsys)[0] == 0
    assert (at_home / "half/compression.jsonl").read_bytes() == log
    (at_home / "half/report.html").unlink()
    assert main(["report", "half"]) == 0
    assert (at_home / "half/report.html").exists()


def test_budgets_hold_together_or_are_a_front(at_home, monkeypatch, capsys):
    monkeypatch.setattr("asng.compression.stored.save_onnx", lambda *_: None)  # takes seconds
    both = ["--data", "mine.three", "--budget", "multiply_adds=0.6", "parameters=40%"]
    assert compressed([*both, "--run-dir", "one"], capsys)[0] == 0
    assert compressed([*both, "--front", "--run-dir", "two"], capsys)[0] == 0
    one, two = (json.loads((at_home / n / "compression.json").read_text()) for n in ("one", "two"))
    assert [child["goal"] for child in one["children"]] == ["multiply_adds-0.6-parameters-40%"]
    assert [child["goal"] for child in two["children"]] == ["multiply_adds-0.6", "parameters-40%"]
    assert one["metric"] == "loss"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "mine.pair", "--budget", "half"], "budget: expected words such as"),
        (
            ["--data", "mine.pair", "--budget", "multiply_adds=1.5e-9"],
            "a budget that the smallest child meets",
        ),
        (["--data", "mine.pair", "--budget", "parameters=10"], "a budget that the smallest child meets"),
        (
            ["--data", "mine.pair", "--budget", "0.5", "--learning-rate", "-1"],
            "learning_rate: expected a number",
        ),
        (["--data", "mine.pair", "--budget", "0.5", "--teaching", "2"], "teaching: expected a number in"),
        (["--data", "mine.nothing", "--budget", "parameters=0.5"], "expected loaders named"),
        (["--data", "mine.NUMBER", "--budget", "parameters=0.5"], "expected mine.NUMBER to be a function"),
        (["--data", "torch.nn.Linear", "--budget", "0.5"], "which needs in_features, out_features"),
        (["--data", "mine.par", "--budget", "parameters=0.5"], "Did you mean 'pair'"),
        (
            ["--data", "mine.bare", "--budget", "parameters=0.5"],
            "data, train: expected a loader, got a dataset",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_line_and_leaves_nothing(words, message, at_home, capsys):
    code, _, err = compressed([*words, "--run-dir", "run"], capsys)
    assert code == 1
    assert message in err
    assert not (at_home / "run").exists()


def test_a_folder_with_another_run_is_left_alone(at_home, capsys):
    words = ["--data", "mine.pair", "--budget", "parameters=0.5", "--run-dir", "run"]
    (at_home / "run").mkdir()
    (at_home / "run" / COMPRESSION_LOG).write_text("")
    code, _, err = compressed(words, capsys)
    assert code == 1
    assert "already contains a run" in err


def told_by(words, capsys):
    code = main(["compress", *words])
    return code, capsys.readouterr().err


HALVED = ["--data", "mine.pair", "--budget", "multiply_adds=0.5", "--maximize", "accuracy", "--run-dir"]
TRUSTED = ["--trust", "mine.load, mine.pair"]


def test_a_run_is_gone_on_with_from_its_folder_alone(at_home, capsys):
    assert compressed([*HALVED, "whole"], capsys)[0] == 0
    assert compressed([*HALVED, "part"], capsys)[0] == 0
    log = at_home / "part" / COMPRESSION_LOG
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))  # as if it was killed early
    (at_home / "part" / "compression.json").unlink()
    code, error = told_by(["--resume", "--run-dir", "part"], capsys)
    assert code == 1
    assert "mine.load" in error
    assert "--trust" in error
    code, error = told_by(["--resume", "--run-dir", "part", "--seed", "3", *TRUSTED], capsys)
    assert code == 1
    assert error.startswith(
        "asng compress: --seed: expected 0, with which the run in part was started, got 3."
    )
    code, error = told_by(["--resume", "--run-dir", "part", "--quiet", "--seed", "0", *TRUSTED], capsys)
    assert code == 0, error
    whole, part = (
        json.loads((at_home / name / "compression.json").read_text()) for name in ("whole", "part")
    )
    assert part["children"][0]["score"] == whole["children"][0]["score"]
    assert part["children"][0]["widths"] == whole["children"][0]["widths"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("task: user", "expected the settings of a compression, got the task 'user'"),
        ("task: compress", "expected the settings of a compression"),
        ("task: compress\ncompress: {model: os.system, data: os.getcwd, budget: [b=1]}", "have os.system"),
        (
            "task: compress\ncompress: {model: mine.load, data: mine.pair, budget: []}",
            "a model, data and a budget",
        ),
        ("task: compress\ncompress: {model: mine.load, data: mine.pair, epochs: many}", "epochs"),
    ],
)
def test_a_config_that_is_of_something_else_runs_nothing(config, message, at_home, capsys):
    (at_home / "run").mkdir()
    (at_home / "run" / "config.yaml").write_text(config)
    code, error = told_by(["--resume", "--run-dir", "run", *TRUSTED], capsys)
    assert code == 1
    assert message in error


def test_a_run_that_cannot_begin_leaves_no_folder_and_an_earlier_config_as_it_was(at_home, capsys):
    assert compressed(["--data", "mine.nothing", "--budget", "0.5", "--run-dir", "new"], capsys)[0] == 1
    assert not (at_home / "new").exists()
    assert compressed([*HALVED, "run"], capsys)[0] == 0
    before = {name: (at_home / "run" / name).read_bytes() for name in ("config.yaml", COMPRESSION_LOG)}
    words = ["--data", "mine.pair", "--budget", "multiply_adds=7", "--run-dir", "run", "--overwrite"]
    assert compressed(words, capsys)[0] == 1
    assert {name: (at_home / "run" / name).read_bytes() for name in before} == before
    for name in ("model", "data", "budget"):
        words = {
            "model": ["--model", "mine.load"],
            "data": ["--data", "mine.pair"],
            "budget": ["--budget", "0.5"],
        }
        del words[name]
        code, error = told_by([word for part in words.values() for word in part], capsys)
        assert (code, error.startswith(f"asng compress: {name}: expected one for a new run")) == (1, True)


def test_a_plain_number_is_a_share_and_other_commands_say_where_the_child_is(at_home, capsys):
    assert compressed(["--data", "mine.pair", "--budget", "0.5", "--run-dir", "run"], capsys)[0] == 0
    assert (at_home / "run/multiply_adds-0.5/child.pt").exists()
    for command in ("evaluate", "export", "retrain"):
        assert main([command, "run"]) == 1
        error = " ".join(capsys.readouterr().err.split())
        assert "expected the run of a search, got one of asng compress" in error
        assert "asng.compress(...).child" in error
        assert "0.1" not in error


@pytest.mark.parametrize("flag", ["--model.d", "--data.size=3"])
def test_arguments_of_the_functions_are_refused_in_a_line(flag, capsys):
    code, _, err = compressed(["--data", "mine.pair", "--budget", "0.5", flag, "24"], capsys)
    assert code == 1
    assert f"{flag.partition('=')[0]}: expected no arguments" in err


def test_a_resume_that_overwrites_is_refused(at_home, capsys):
    assert compressed(["--resume", "--overwrite"], capsys)[0] == 1
    assert told_by(["--resume", "--overwrite"], capsys)[1].startswith("asng compress: resume, overwrite: ")


@pytest.mark.parametrize("budget", ["0.6", "'0.6'", "[0.6]", "['multiply_adds=0.6']"])
def test_a_settings_file_takes_one_value_and_numbers_where_flags_take_several_words(at_home, capsys, budget):
    settings = f"budget: {budget}\nonly: '0'\ndata: mine.pair\nrun_dir: half\n"
    (at_home / "settings.yaml").write_text(settings)
    code, out, err = compressed(["--config", "settings.yaml"], capsys)
    assert (code, err) == (0, "")
    assert "multiply_adds-0.6" in out
    told = json.loads((at_home / "half/compression.json").read_text())
    assert {name for name, widths in told["children"][0]["widths"].items() if widths[0] != widths[1]} == {"0"}


def test_a_settings_file_with_a_wrong_budget_is_told_what_a_budget_is(at_home, capsys):
    (at_home / "settings.yaml").write_text("budget: {latency: 2ms}\ndata: mine.pair\n")
    code, _, err = compressed(["--config", "settings.yaml"], capsys)
    assert code == 1
    assert "budget: expected words such as 'multiply_adds=0.5'" in err


@pytest.mark.parametrize("why", ["a link", "another process"])
def test_a_run_that_may_not_begin_leaves_the_settings_of_the_one_before(why, at_home, capsys):
    folder = at_home / "half"
    folder.mkdir()
    (folder / "config.yaml").write_text("task: compress\n")
    if why == "a link":
        (folder / "multiply_adds-0.5").symlink_to(at_home)
    log = JsonLines(folder / COMPRESSION_LOG) if why == "another process" else None  # of this process
    words = ["--data", "mine.pair", "--budget", "0.5", "--run-dir", "half", "--overwrite"]
    code, _, err = compressed(words, capsys)
    assert (code, why in err) == (1, True)
    assert (folder / "config.yaml").read_text() == "task: compress\n"
    if log is not None:
        log.close()
