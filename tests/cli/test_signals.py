"""Every command that takes long ends at a signal with the code that a shell expects, and goes on after it."""

import builtins
import json
import os
import signal
import time
from importlib import import_module
from multiprocessing import active_children

import pytest
from small_tasks import write_images
from test_cli import WORDS

from asng.cli import main
from asng.experiments.benchmark import experiment as comparison
from asng.experiments.benchmark.store import BenchmarkStore
from asng.experiments.toy import experiment as workers
from asng.experiments.toy.store import ToyStore
from asng.runs import tensors
from asng.search.trainer import Trainer

# Where a name of the package is a function of the same name.
cli, train = import_module("asng.cli.main"), import_module("asng.training.train")
CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
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
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    yield
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == [signal.SIG_DFL] * 2
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
    ("command", "number"),
    [("search", signal.SIGINT), ("classify --preset small", signal.SIGTERM), ("search", signal.SIGHUP)],
)
def test_a_search_leaves_a_checkpoint(command, number, settings, tmp_path, monkeypatch, capsys):
    words = [*command.split(), "--run-dir", str(tmp_path / "run")]
    signalled(monkeypatch, Trainer, "step", number, call=3)
    assert main([*words, *settings]) == CODES[number]
    assert "Add --resume to continue" in capsys.readouterr().err
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
def test_commands_that_write_nothing_by_and_by_end_too(command, number, tmp_path, monkeypatch, capsys):
    def run(arguments):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(cli.SUBCOMMANDS[command].load(), "run", run)
    assert main([command, str(tmp_path)]) == CODES[number]
    assert capsys.readouterr().err == "asng: stopped.\n"


@pytest.mark.parametrize("command", ["search", "toy", "benchmark"])
def test_a_signal_before_anything_was_written_does_not_speak_of_progress(
    command, tmp_path, monkeypatch, capsys
):
    def run(arguments):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    (tmp_path / "config.yaml").write_text("task: of an earlier run\n")
    monkeypatch.setattr(cli.SUBCOMMANDS[command].load(), "run", run)
    words = [command, "--run-dir", str(tmp_path)]
    assert main(words) == 130
    assert capsys.readouterr().err == "asng: stopped before this run had saved anything.\n"
    assert main([*words, "--resume"]) == 130
    assert "the progress so far is saved" in capsys.readouterr().err


@pytest.mark.parametrize("number", CODES)
def test_a_signal_that_comes_in_a_finaliser_is_not_lost(number, tmp_path, monkeypatch, capsys):
    """Python prints what `__del__` raises, and goes on."""

    class Last:
        def __del__(self):
            os.kill(os.getpid(), number)
            time.sleep(0.001)

    def run(arguments):
        Last()
        time.sleep(30)

    monkeypatch.setattr(cli.SUBCOMMANDS["report"].load(), "run", run)
    begun = time.monotonic()
    assert main(["report", str(tmp_path)]) == CODES[number]
    assert time.monotonic() - begun < 10
    assert capsys.readouterr().err == "asng: stopped.\n"


@pytest.mark.parametrize("number", CODES)
def test_a_second_signal_while_the_first_is_obeyed_leaves_the_checkpoint_before(
    number, settings, tmp_path, monkeypatch, capsys
):
    words = ["search", "--run-dir", str(tmp_path / "run")]
    signalled(monkeypatch, Trainer, "step", number, call=3)
    signalled(monkeypatch, tensors.torch, "save", number, call=2)  # the first is written before any step
    assert main([*words, *settings]) == CODES[number]
    assert (
        capsys.readouterr().err == "asng: stopped; the progress so far is saved. Add --resume to continue.\n"
    )
    assert not list((tmp_path / "run").glob(".*"))
    monkeypatch.undo()
    assert main([*words, "--resume", "--quiet"]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["found"]


def test_while_torch_is_imported_there_is_no_traceback_either(monkeypatch, capsys):
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name == "asng.training.signals":
            raise KeyboardInterrupt
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert main(["report", "nowhere"]) == 130
    assert capsys.readouterr().err == "asng: stopped.\n"


def test_a_worker_of_a_loader_that_is_killed_at_any_stage_is_one_line(tmp_path, monkeypatch, capsys):
    def run(arguments):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

    monkeypatch.setattr(cli.SUBCOMMANDS["report"].load(), "run", run)
    assert main(["report", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        "asng report: loader: expected its worker processes to keep running, but DataLoader worker"
    )
    assert told.count("\n") == 1


@pytest.mark.parametrize(("command", "settings"), [("toy", TOY), ("benchmark", BENCHMARK)])
@pytest.mark.parametrize("number", CODES)
@pytest.mark.slow
def test_a_signal_to_all_processes_ends_them_as_one_to_the_first(
    command, settings, number, tmp_path, monkeypatch, capsys
):
    words = [command, "--run-dir", str(tmp_path / "run"), *settings, "--quiet", "--workers", "2"]
    words += ["--methods", "[SNG, ASNG]"] if command == "toy" else []
    store = {"toy": ToyStore, "benchmark": BenchmarkStore}[command]
    add, children, others = store.add, [], set(active_children())

    def signalling(self, cells):
        children.extend(set(active_children()) - others)
        for child in children:
            os.kill(child.pid, number)
        time.sleep(0.3)
        os.kill(os.getpid(), number)
        time.sleep(0.3)
        return add(self, cells)

    monkeypatch.setattr(store, "add", signalling)
    assert main(words) == CODES[number]
    assert capsys.readouterr().err.count("\n") == 1
    assert len(children) == 2
    for child in children:  # not is_alive, which may err for a moment if two threads waited for the child
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(child.pid, 0)
    monkeypatch.undo()
    assert main([*words, "--resume"]) == 0
