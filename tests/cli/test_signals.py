"""Every command that takes long ends at a signal with the code that a shell expects, and goes on after it."""

import json
import os
import signal
from importlib import import_module

import pytest
from small_tasks import write_images
from test_cli import WORDS

from asng.cli import main
from asng.experiments.benchmark import experiment as comparison
from asng.experiments.toy import experiment as workers
from asng.search.trainer import Trainer

# Where a name of the package is a function of the same name.
cli, train = import_module("asng.cli.main"), import_module("asng.training.train")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
TOY = [
    "--iterations",
    "5",
    "--methods",
    "[SNG]",
    "--learning-rates",
    "[0.05]",
    "--workers",
    "1",
    "--seeds",
    "1",
]
BENCHMARK = ["--problems", "[onemax]", "--methods", "[random]", "--budget", "20", "--seeds", "3"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Those of a tiny search of four steps."""
    images = write_images(tmp_path_factory.mktemp("data") / "images")
    return [*WORDS, "--data-dir", str(images), "--batch-size", "8"]


@pytest.fixture(autouse=True)
def python_signals():
    """Handlers as in a terminal: a job in the background starts with SIGINT ignored."""
    before = {number: signal.getsignal(number) for number in CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    for number, handler in before.items():
        signal.signal(number, handler)


def signalled(monkeypatch, module, name, number, call=2):
    """Have the process signalled at a call of a function, by way of the name under which a module has it."""
    function, calls = getattr(module, name), []

    def signalling(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, signalling)


@pytest.mark.parametrize(
    ("command", "number"), [("search", signal.SIGINT), ("classify --preset small", signal.SIGTERM)]
)
def test_a_search_leaves_a_checkpoint(command, number, settings, tmp_path, monkeypatch, capsys):
    words = [*command.split(), "--run-dir", str(tmp_path / "run")]
    signalled(monkeypatch, Trainer, "step", number, call=3)
    assert main([*words, *settings]) == CODES[number]
    assert "Go on by adding --resume" in capsys.readouterr().err
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    end = json.loads(log[-1])
    assert (end["event"], end["step"], end["reason"]) == ("end", 3, "interrupted")
    monkeypatch.undo()
    assert main([*words, "--resume", "--quiet"]) == 0


def test_the_training_of_what_was_found_goes_on(settings, tmp_path, monkeypatch):
    number = signal.SIGTERM
    folder = tmp_path / "run"
    words = ["search", "--run-dir", str(folder)]
    signalled(monkeypatch, train, "with_new_workers", number, call=1)
    assert main([*words, *settings]) == CODES[number]
    assert json.loads((folder / "result.json").read_text())["found"] is None
    monkeypatch.undo()
    assert main([*words, "--resume", "--quiet"]) == 0
    assert main(["retrain", str(folder), "--quiet"]) == 0
    signalled(monkeypatch, train, "with_new_workers", number, call=1)
    assert main(["retrain", str(folder), "--quiet"]) == CODES[number]
    monkeypatch.undo()
    assert main([*words, "--resume", "--quiet"]) == 0
    assert json.loads((folder / "result.json").read_text())["found"]


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("command", "settings", "module", "name", "call"),
    [("toy", TOY, workers, "simulate", 1), ("benchmark", BENCHMARK, comparison, "run_trial", 2)],
)
def test_experiments_keep_their_cells(command, settings, module, name, call, number, tmp_path, monkeypatch):
    words = [command, "--run-dir", str(tmp_path / "run"), *settings, "--quiet"]
    signalled(monkeypatch, module, name, number, call)
    assert main(words) == CODES[number]
    monkeypatch.undo()
    assert main([*words, "--resume"]) == 0


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", ["evaluate", "export", "report"])
def test_commands_that_write_nothing_by_and_by_end_too(command, number, tmp_path, monkeypatch):
    def run(arguments):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(cli.SUBCOMMANDS[command].load(), "run", run)
    assert main([command, str(tmp_path)]) == CODES[number]
