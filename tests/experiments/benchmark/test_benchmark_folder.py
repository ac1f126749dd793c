"""asng benchmark in its run folder: killed, beside another process, on wrong input."""

import json
import signal
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest

from asng.cli import main
from asng.errors import RunError
from asng.experiments.benchmark import BenchmarkSettings, begun_benchmark, run_benchmark

SETTINGS = BenchmarkSettings(("onemax",), ("(1+1)-EA", "evolution"), 2_000)
WORDS = ["benchmark", "--problems", "[onemax]", "--methods", "[(1+1)-EA, evolution]", "--budget", "2000"]


def rows_in(folder):
    rows = [json.loads(line) for line in (folder / "benchmark.jsonl").read_text().splitlines()]
    return sorted(json.dumps({**row, "microseconds": 0}) for row in rows)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.slow
def test_killed_by_the_system_it_goes_on(workers, tmp_path):
    words = [*WORDS, "--seeds", "200", "--workers", workers, "--run-dir", str(tmp_path / "a")]
    file = tmp_path / "a" / "benchmark.jsonl"
    process = subprocess.Popen([sys.executable, "-m", "asng", *words], stdout=subprocess.DEVNULL)
    try:
        while not file.exists() or file.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            time.sleep(0.005)
        with pytest.raises(RunError, match=r"benchmark\.jsonl: another process is writing to it"):
            run_benchmark(SETTINGS, tmp_path / "a", seeds=range(2), resume=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with file.open("a") as torn:
        torn.write('{"problem": "onemax", "method"')
    lines = file.read_bytes().splitlines(keepends=True)[:-1]
    seeds = range(1 + max(json.loads(line)["seed"] for line in lines))
    run_benchmark(SETTINGS, tmp_path / "a", seeds=seeds, resume=True)
    assert file.read_bytes().splitlines(keepends=True)[: len(lines)] == lines
    run_benchmark(SETTINGS, tmp_path / "b", seeds=seeds)
    assert rows_in(tmp_path / "a") == rows_in(tmp_path / "b")


def test_a_killed_worker_ends_it_and_finished_cells_stay(tmp_path):
    others = set(active_children())

    def show(done, total):
        for child in set(active_children()) - others if done == 1 else ():
            child.kill()

    with pytest.raises(
        RunError, match=r"every process to finish its cell, but one was killed\. Add --resume to continue"
    ):
        run_benchmark(SETTINGS, tmp_path / "a", seeds=range(8), workers=2, show=show)
    run_benchmark(SETTINGS, tmp_path / "a", seeds=range(8), resume=True)
    run_benchmark(SETTINGS, tmp_path / "b", seeds=range(8))
    assert rows_in(tmp_path / "a") == rows_in(tmp_path / "b")


def test_the_bar_tells_of_what_is_done_and_stays_away_before_an_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    words = [*WORDS, "--seeds", "2", "--run-dir", str(tmp_path / "run")]
    assert main(words) == 0
    assert "benchmark, runs" in capsys.readouterr().out
    assert main([*words, "--resume"]) == 0
    assert "4/4" in capsys.readouterr().out
    assert main(words) == 1
    told = capsys.readouterr()
    assert "already contains a run" in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("names", "module"),
    [
        (["--problems", "[onemax]", "--methods", "[random, CatCMAwM]"], "cmaes"),
        (["--problems", "[onemax, pbo-onemax]", "--methods", "[random]"], "ioh"),
    ],
)
def test_a_missing_library_is_told_before_anything_runs(names, module, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["benchmark", *names, "--seeds", "1", "--run-dir", str(tmp_path / "run")]) == 1
    told = capsys.readouterr()
    assert f"expected the library {module}" in told.err
    assert "pip install 'asng[benchmark]'" in told.err
    assert told.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "nonsense", '{"problem": "onemax", "method": "random", "seed": 0}', "{}"),
        *(
            f'{{"problem": {one}, "method": "x", "seed": 0, "budget": 5}}'
            for one in ("[]", "{}", "3", "null")
        ),
        '{"problem": "onemax", "method": "random", "seed": "0", "budget": 5}',
    ],
)
def test_a_folder_with_a_damaged_line_is_not_gone_on_with(line, tmp_path):
    file = tmp_path / "benchmark.jsonl"
    file.write_text(line + "\n")
    for _ in range(2):  # nothing holds it after the first error
        with pytest.raises(
            RunError, match=r"benchmark\.jsonl, line 1: (expected|object missing required field)"
        ):
            run_benchmark(SETTINGS, tmp_path, seeds=range(2), resume=True)
    assert file.read_text() == line + "\n"


def test_resume_alone_goes_on_with_what_the_run_was_begun_with(tmp_path):
    folder = tmp_path / "run"
    flags = ["--problems", "[onemax]", "--methods", "[random, '(1+1)-EA']", "--budget", "20", "--seed", "3"]
    assert main(["benchmark", *flags, "--seeds", "2", "--run-dir", str(folder), "--quiet"]) == 0
    rows = (folder / "benchmark.jsonl").read_text().splitlines(keepends=True)
    assert len(rows) == 4
    (folder / "benchmark.jsonl").write_text("".join(rows[:1]))  # killed after its first run
    assert main(["benchmark", "--resume", "--run-dir", str(folder), "--quiet"]) == 0
    again = (folder / "benchmark.jsonl").read_text().splitlines()
    told = [(row["method"], row["seed"], row["hit"]) for row in map(json.loads, again)]
    assert sorted(told, key=str) == sorted(
        ((row["method"], row["seed"], row["hit"]) for row in map(json.loads, rows)), key=str
    )
    # Given anew they count, and are what the next resume goes on with.
    assert main(["benchmark", "--resume", *flags, "--seeds", "3", "--run-dir", str(folder), "--quiet"]) == 0
    settings, seeds = begun_benchmark(folder)
    assert (settings.problems, settings.budget, seeds) == (("onemax",), 20, (3, 4, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: toy\n", "expected a run of a benchmark, got the task 'toy'"),
        (
            "task: benchmark\nbenchmark: {problems: 3}\n",
            r"config.yaml, benchmark: expected `array`, got `int`",
        ),
        (
            "task: benchmark\nbenchmark: {problems: [x], methods: [ASNG], budget: 2, seeds: [0]}\n",
            "expected one of",
        ),
    ],
)
def test_settings_that_no_benchmark_has_are_told(text, message, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=message):
        begun_benchmark(tmp_path)


def test_a_run_that_was_killed_before_it_said_what_it_is_begins_anew(tmp_path, capsys):
    """A resume, which would not know, does not begin every problem with every method."""
    (tmp_path / "benchmark.jsonl").touch()
    assert main(["benchmark", "--resume", "--run-dir", str(tmp_path)]) == 1
    assert "got one that was killed before. Begin it anew, without resume." in capsys.readouterr().err
    run_benchmark(SETTINGS, tmp_path, seeds=[0])
    assert len(rows_in(tmp_path)) == 2
