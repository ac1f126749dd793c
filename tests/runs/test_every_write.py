"""A disk that fails at any write of a run ends it by one error, and the run goes on once there is room."""

import json
import shutil
from pathlib import Path

import pytest
from failing_disk import BROKEN, FULL, READ_ONLY, FailingDisk, first_of_each, refused, writes_of
from problems import events_without_clocks, fit, searcher

from asng.black_box import minimize
from asng.errors import RunError
from asng.experiments.benchmark import BenchmarkSettings, run_benchmark
from asng.runs.folder import remove_halves
from asng.space import Categorical, Integer, Space

SPACE = Space({"op": Categorical(["a", "b"]), "k": Integer(1, 5)})
CELLS = BenchmarkSettings(("onemax",), ("random",), 20)


def search(folder, resume):
    """Search for six steps and a final, with checkpoints between."""
    made = searcher(checkpoint_steps=2, final=0.4, finalists=2)
    resume = resume and (folder / "log.jsonl").exists()
    result = fit(made, epochs=1, run_dir=folder, resume=resume, overwrite=not resume)
    weights = [value.tolist() for value in made.supernet.state_dict().values()]
    return result.architecture, weights, events_without_clocks(folder)


def black_box(folder, resume):
    made = minimize(
        lambda a: abs(a["k"] - 4) + (a["op"] != "b"),
        SPACE,
        8,
        run_dir=folder,
        resume=resume and (folder / "log.jsonl").exists(),
    )
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    clocks = ("time", "seconds", "at")
    events = [{name: value for name, value in row.items() if name not in clocks} for row in rows]
    return made.history, made.architecture, (folder / "architecture.json").read_text(), events


def benchmark(folder, resume):
    run_benchmark(CELLS, folder, seeds=range(3), resume=resume and (folder / "benchmark.jsonl").exists())
    rows = [json.loads(line) for line in (folder / "benchmark.jsonl").read_text().splitlines()]
    return [row | {"microseconds": 0} for row in rows]


RUNS = {"search": search, "minimize": black_box, "benchmark": benchmark}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    """Give a run, what it comes to, and what it asks of the disk."""
    folder, function = tmp_path_factory.mktemp(request.param), RUNS[request.param]
    whole = function(folder / "whole", resume=False)
    with pytest.MonkeyPatch.context() as patch:
        return function, whole, writes_of(function, folder / "counted", patch)


def see(run, places, number, tmp_path, monkeypatch):
    function, whole, _ = run
    for at in places:
        folder = tmp_path / f"at {at}"
        folder.mkdir()
        refused(function, folder, monkeypatch, at, number)
        assert function(folder / "run", resume=True) == whole, f"after {at}"
        assert not list(folder.rglob(".*"))


def test_a_run_goes_on_after_a_disk_that_was_full(run, tmp_path, monkeypatch):
    assert len(run[2]) > 20
    see(run, first_of_each(run[2]), FULL, tmp_path, monkeypatch)


@pytest.mark.parametrize("number", [FULL, BROKEN, READ_ONLY])
@pytest.mark.slow
def test_a_run_goes_on_wherever_the_disk_failed(run, number, tmp_path, monkeypatch):
    see(run, range(len(run[2])), number, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["two words", "Grüße & ümläut", "x" * 250, "-", "a*[b]?"])
def test_a_folder_may_have_any_name_that_the_system_allows(run, name, tmp_path):
    function, whole, _ = run
    assert function(tmp_path / name, resume=False) == whole
    assert not list((tmp_path / name).glob(".*"))


@pytest.mark.parametrize("name", ["x" * 256, "ü" * 130, "/".join(["x" * 200] * 25)])
def test_a_name_that_is_too_long_is_told(run, name, tmp_path):
    with pytest.raises(
        RunError, match=r"(?s)^\S*: expected a folder .*: File name too long\. Choose a shorter"
    ):
        run[0](tmp_path / name, resume=False)


@pytest.mark.parametrize("moved", [True, False])
def test_a_folder_that_is_gone_on_the_way_ends_the_run_and_is_not_made_anew(
    run, moved, tmp_path, monkeypatch
):
    function, whole, done = run
    folder, elsewhere, rename = tmp_path / "run", tmp_path / "elsewhere", Path.rename

    class Gone(FailingDisk):
        """Loses the folder instead of an error."""

        def ask(self, what, path):
            self.done.append(what)
            if len(self.done) == self.at and folder.exists():
                rename(folder, elsewhere)
                if not moved:
                    shutil.rmtree(elsewhere)

    begun = next(at for at, what in enumerate(done) if what.startswith("truncate"))
    for at in range(begun + 2, len(done) - 6, max(1, len(done) // 4)):
        with (
            Gone(tmp_path, at).spinning(monkeypatch),
            pytest.raises(RunError, match="Was its folder removed"),
        ):
            function(folder, resume=False)
        assert not folder.exists()
        if moved:
            elsewhere.rename(folder)
            assert function(folder, resume=True) == whole
            shutil.rmtree(folder)


def test_what_was_being_written_when_a_run_was_killed_is_gone_after_a_resume(run, tmp_path):
    function, whole, _ = run
    function(tmp_path / "run", resume=False)
    half, others = ".checkpoint.pt.0123abcd", [".report.html.0123abcd", ".checkpoint.pt.mine", ".bashrc"]
    for name in (half, *others):
        (tmp_path / "run" / name).touch()
    assert function(tmp_path / "run", resume=True) == whole
    assert sorted(path.name for path in (tmp_path / "run").glob(".*")) == sorted(others)


def test_halves_of_folders_and_in_folders_are_removed_too(tmp_path):
    half = tmp_path / "child" / ".pretrained.0123abcd"
    half.mkdir(parents=True)
    (half / "weights").touch()
    remove_halves(tmp_path)
    assert half.exists()
    remove_halves(tmp_path, inner=True)
    assert list((tmp_path / "child").iterdir()) == []
