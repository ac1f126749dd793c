"""The command line by torchrun."""

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from processes import values
from small_tasks import write_images

from asng.cli import main

SRC = Path(__file__).parents[2] / "src"
SIZES = {"cells": 1, "nodes": 1, "channels": 2, "epochs": 1, "retrain-epochs": 1, "peers": 2, "final": 0}
TINY = ["--quiet", *(f"--{name}={value}" for name, value in SIZES.items())]


def run(*words, processes):
    """Run a module in one process, or in several by torchrun."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    path = os.pathsep.join([str(SRC), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), "-m", *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def networks(folder):
    result = json.loads((folder / "result.json").read_text())
    return [result["found"], *result["random"]]


def searched(words):
    """Search as `asng` does in each process that torchrun starts, and return what it says."""
    with redirect_stdout(StringIO()) as said:
        assert main(["search", *words]) == 0
    return said.getvalue()


def by_torchrun(words):
    done = run("asng", "search", *words, processes=2)
    assert done.returncode == 0, done.stderr
    return [done.stdout]


# The slow one has torchrun itself start the processes.
@pytest.mark.parametrize(
    "search",
    [partial(values, searched), pytest.param(by_torchrun, marks=pytest.mark.slow)],
    ids=["variables of torchrun", "torchrun"],
)
def test_a_search_by_torchrun_needs_no_other_flag_and_writes_one_run(search, tmp_path):
    data = ["--data-dir", str(write_images(tmp_path / "images")), "--batch-size", "8"]
    said = search([*TINY, *data, "--run-dir", str(tmp_path / "run")])
    assert "".join(said).count("architecture.json") == 1
    events = [json.loads(line)["event"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [events.count(name) for name in ("start", "end")] == [1, 1]
    assert len(networks(tmp_path / "run")) == 3
    for name in ("child.pt", "architecture.json", "report.html", "config.yaml"):
        assert (tmp_path / "run" / name).exists()


@pytest.mark.slow
def test_two_processes_train_the_networks_of_one_and_go_on_with_its_run(tmp_path):
    folders = []
    for processes in (1, 2):
        folders.append(tmp_path / str(processes))
        done = run("asng", "search", *TINY, "--run-dir", str(folders[-1]), processes=processes)
        assert done.returncode == 0, done.stderr
    one, two = map(networks, folders)
    assert [network["architecture"] for network in one[1:]] == [
        network["architecture"] for network in two[1:]
    ]
    # The peers do not depend on the search, and one process trains each.
    assert [network["score"] for network in one[1:]] == [network["score"] for network in two[1:]]
    again = run("asng", "retrain", str(folders[0]), "--peers", "1", "--quiet", processes=2)
    assert again.returncode == 0, again.stderr
    assert len(networks(folders[0])) == 2
    refused = run("asng", "search", *TINY, "--run-dir", str(folders[0]), processes=2)
    assert refused.returncode == 1
    assert "already contains a run" in refused.stderr


@pytest.mark.slow
def test_several_seeds_by_torchrun_are_summed_up_once(tmp_path):
    words = [*TINY, "--seeds", "2", "--run-dir", str(tmp_path / "run")]
    done = run("asng", "search", *words, processes=2)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert [row["seed"] for row in summary["seeds"]] == [0, 1]
