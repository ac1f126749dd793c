"""The grid in its folder: nothing done twice, nothing lost, wrong arguments before anything is written."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import yaml
from toy_by_hand import SMALL

from asng.errors import InputError, RunError
from asng.experiments.toy import ToySettings, experiment, resume_toy, run_toy
from asng.experiments.toy.experiment import simulate_parts
from asng.settings import GridPoint

QUIET = {"workers": 1, "progress": False}


def cells(folder):
    return json.loads((folder / "toy.json").read_text())["cells"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_toy(SMALL, tmp_path_factory.mktemp("toy") / "run", seeds=[0, 1], **QUIET)


def stop_after(parts, monkeypatch):
    """Let ctrl-C come while a part is under way."""

    def stopping(*arguments):
        for number, found in enumerate(simulate_parts(*arguments)):
            if number == parts:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(experiment, "simulate_parts", stopping)


def test_every_cell_is_there_with_every_seed(whole):
    rows = cells(whole)
    assert [GridPoint(r["method"], r["exponent"], r["learning_rate"]) for r in rows] == [
        cell for part in SMALL.parts() for cell in part
    ]
    assert len(rows) == 8
    assert all(len(row[name]) == 2 for row in rows for name in ("seeds", "stopped", "right_at_end"))
    assert rows[1]["delta_init"] == (4 * 2) ** -0.5


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_a_resumed_run_is_one_never_stopped(parts, whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(parts, patch)
        with pytest.raises(KeyboardInterrupt):
            run_toy(SMALL, folder, seeds=[0, 1], **QUIET)
    assert len(cells(folder)) == 2 * parts
    resume_toy(folder, **QUIET)
    assert cells(folder) == cells(whole)
    assert (folder / "config.yaml").read_bytes() == (whole / "config.yaml").read_bytes()


def test_a_single_cell_that_is_missing_is_run_again_to_the_same_bits(whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    data = json.loads((whole / "toy.json").read_text())
    (folder / "config.yaml").write_bytes((whole / "config.yaml").read_bytes())
    (folder / "toy.json").write_text(json.dumps({**data, "cells": data["cells"][:3] + data["cells"][4:]}))
    resume_toy(folder, **QUIET)
    assert cells(folder) == cells(whole)


def test_a_finished_cell_is_not_run_again(whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "toy.json"):
        (folder / name).write_bytes((whole / name).read_bytes())
    asked = []
    monkeypatch.setattr(experiment, "simulate_parts", lambda _s, parts, *_: asked.extend(parts) or [])
    resume_toy(folder, **QUIET)
    assert asked == []


@pytest.mark.slow
def test_two_processes_find_what_one_finds(whole, tmp_path):
    folder = run_toy(SMALL, tmp_path / "run", seeds=[0, 1], workers=2, progress=False)
    assert cells(folder) == cells(whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_first_one(number, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from asng.experiments.toy import ToySettings, run_toy\n"
        "if __name__ == '__main__':\n"
        f"    run_toy(ToySettings(), {str(tmp_path / 'run')!r}, seeds=[0], progress=False)\n"
    )
    first = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    children = wait_for(lambda: len(found := children_of(first.pid)) >= 2 and found, 60)
    time.sleep(3)  # for the processes to begin their parts
    first.send_signal(number)
    assert first.wait(20) != 0
    wait_for(lambda: not any(map(alive, children)), 20)


@pytest.mark.slow
def test_a_killed_process_ends_it_and_finished_cells_stay(whole, tmp_path, monkeypatch):
    folder, add, others = tmp_path / "run", experiment.ToyStore.add, set(active_children())

    def adding(*arguments):
        add(*arguments)
        for child in set(active_children()) - others:
            child.kill()

    with monkeypatch.context() as patch:
        patch.setattr(experiment.ToyStore, "add", adding)
        with pytest.raises(
            RunError, match="toy: expected every process to finish its part, but one was killed"
        ):
            run_toy(SMALL, folder, seeds=[0, 1], workers=2, progress=False)
    assert 0 < len(cells(folder)) < 8
    resume_toy(folder, **QUIET)
    assert cells(folder) == cells(whole)


def children_of(pid):
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(word) for word in words if b"spawn_main" in command(int(word))]
    except FileNotFoundError:
        pytest.skip("needs /proc")


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def alive(pid):
    try:
        os.kill(pid, 0)
        return command(pid) != b""  # a zombie has none
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return found


def test_an_earlier_run_is_kept_unless_told_otherwise(whole, tmp_path):
    with pytest.raises(RunError, match="already contains a run"):
        run_toy(SMALL, whole, seeds=[0], **QUIET)
    folder = tmp_path / "run"
    run_toy(SMALL, folder, seeds=[5], **QUIET)
    changed = replace(SMALL, iterations=20, methods=("SNG",))
    run_toy(changed, folder, seeds=[5, 6], overwrite=True, **QUIET)
    assert cells(folder) == cells(run_toy(changed, tmp_path / "other", seeds=[5, 6], **QUIET))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": 0}, "variables: expected an integer >= 1, got 0"),
        ({"choices": 1}, "choices: expected an integer >= 2, got 1"),
        ({"iterations": 0}, "iterations: expected an integer >= 1"),
        ({"methods": ("ASGN",)}, "Did you mean 'ASNG'"),
        ({"methods": ()}, "methods: expected one or more different values"),
        ({"exponents": (0.5, 0.5)}, "exponents: expected one or more different values"),
        ({"exponents": (-1.0,)}, r"exponents: expected a number in \[0.0, 10.0\]"),
        ({"learning_rates": (0.0,)}, r"learning_rates: expected a number in \(0.0"),
        ({"momentum": 1.5}, r"momentum: expected a number in \[0.0, 1.0\]"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seeds": []}, "seeds: expected one or more"),
        ({"seeds": [1, 1]}, "seeds: expected one or more different"),
        ({"seeds": [-1]}, "seed: expected an integer >= 0"),
        ({"seeds": [0], "workers": 0}, "workers: expected an integer >= 1"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(flags, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run_toy(SMALL, tmp_path / "run", **flags)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"task": "classification"}, "expected a run of the toy problem, got the task 'classification'"),
        ({"task": "toy", "toy": {"choises": 3}, "seeds": [0]}, "Did you mean 'choices'"),
        ({"task": "toy", "toy": {"choices": 1}, "seeds": [0]}, "choices: expected an integer >= 2"),
        ({"task": "toy", "toy": {"exponents": 3}, "seeds": [0]}, "exponents: expected"),
        ({"task": "toy", "toy": {}, "seeds": "0"}, "seeds: expected one or more"),
        ({"task": "toy", "toy": {}, "seeds": ["a"]}, "seed: expected an integer"),
    ],
)
def test_a_damaged_config_is_an_error(config, message, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(RunError, match=message):
        resume_toy(tmp_path, **QUIET)


def test_a_wrong_number_of_workers_is_not_blamed_on_the_folder(whole):
    with pytest.raises(InputError, match=r"^workers: expected an integer >= 1"):
        resume_toy(whole, workers=0, progress=False)


def test_cells_of_other_seeds_are_an_error(whole, tmp_path):
    (tmp_path / "toy.json").write_bytes((whole / "toy.json").read_bytes())
    config = yaml.safe_load((whole / "config.yaml").read_text()) | {"seeds": [0, 1, 2]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(RunError, match=r"expected cells of the seeds \[0, 1, 2\], got one of \[0, 1\]"):
        resume_toy(tmp_path, **QUIET)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": [{}], "seconds": 1}', '{"cells": []}'])
def test_a_damaged_file_of_cells_is_an_error(text, tmp_path):
    config = {"task": "toy", "toy": asdict(SMALL), "seeds": [0]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "toy.json").write_text(text)
    with pytest.raises(RunError, match=r"toy\.json: (expected|object missing required field)"):
        resume_toy(tmp_path, **QUIET)


def test_the_defaults_span_three_orders_of_magnitude_and_the_papers_exponents():
    settings = ToySettings()
    assert max(settings.learning_rates) / min(settings.learning_rates) == pytest.approx(1000)
    assert (min(settings.exponents), max(settings.exponents)) == (0.0, 1.5)
    assert settings.n_theta == 120
