"""Settings that differ from the defaults come first, by the defaults that the run itself has written down."""

from dataclasses import replace

import pytest
from problems import loader, mse, two_layers
from run_folders import write_lines

from asng.black_box import minimize
from asng.cli.tell import KINDS
from asng.experiments.toy import run_toy
from asng.pipeline.begin import Job
from asng.report import write_report
from asng.report.settings import settings_in, settings_of
from asng.runs.config import defaults_of
from asng.runs.folder import write_config
from asng.runs.history import read_log
from asng.search import OneShotSearch, StopRule
from asng.settings import ClassificationSettings, SearchSettings, ToySettings
from asng.space import Integer, Space
from asng.tasks.classification import classification


def test_what_was_changed_comes_first_with_its_default():
    config = {"seed": 1, "search": {"budget": {"bytes": 9}, "peers": 4, "stop": [1]}}
    config["defaults"] = {"seed": 0, "search": {"budget": None, "stop": []}}
    found = settings_of(config)
    assert found.changed == [
        ("seed", "1 (default: 0)"),
        ("search.budget.bytes", "9 (default: None)"),
        ("search.stop", "[1] (default: [])"),
    ]
    assert found.others == [("search.peers", "4")]


@pytest.mark.parametrize("defaults", [{}, {"defaults": None}, {"defaults": [3]}])
def test_a_run_that_does_not_say_its_defaults_has_one_list(defaults):
    found = settings_of({"seed": 3, **defaults})
    assert found.changed is None
    assert ("seed", "3") in found.others


def test_a_run_of_the_command_line_writes_down_what_was_changed(tmp_path):
    settings = SearchSettings(epochs=7, warmup=0.2)
    task = classification(ClassificationSettings(nodes=1))
    job = Job(task, settings, tmp_path, 3, None, False)
    assert job.config()["defaults"] == {
        "seed": 0,
        "network": {"nodes": 2},
        "search": {"epochs": 40, "warmup": None},
    }
    assert replace(job, settings=SearchSettings(), seed=0).config()["defaults"]["search"] == {}
    write_config(tmp_path, job.config())
    changed = settings_in(tmp_path).changed
    assert [name for name, _ in changed] == ["seed", "network.nodes", "search.epochs", "search.warmup"]


def test_a_search_in_python_logs_what_it_was_told(tmp_path):
    search = OneShotSearch(two_layers(), mse, final=0.0, stop=StopRule(entropy=0.1))
    search.fit(loader(), loader(), epochs=1, run_dir=tmp_path, progress=False)
    start = read_log(tmp_path / "log.jsonl").start
    assert start.defaults == {"final": 0.7, "stop": {"entropy": 0.0, "patience": None}, "epochs": 30}
    assert start.settings["lam_x"] == 1
    assert start.settings["optimizer"] == "asng.training.optimizers.sgd"
    text = write_report(tmp_path).read_text()
    first, rest = text.split("Settings that differ from the defaults")[1].split("Other settings")
    assert "1 (default: 30)" in first
    assert "search.lam_x" in rest


def test_a_run_with_the_defaults_says_so(tmp_path):
    write_lines(tmp_path / "log.jsonl", [{"event": "start"}])
    write_config(tmp_path, {"seed": 0, "task": "user", "defaults": {"search": {}}})
    text = write_report(tmp_path).read_text()
    assert '<p class="note">None.</p>' in text.split("Settings that differ from the defaults")[1]


def test_a_black_box_logs_what_was_changed(tmp_path):
    space = Space({"x": Integer(0, 9)})
    minimize(lambda a: a["x"], space, 5, noisy=True, start=[{"x": 3}], run_dir=tmp_path)
    assert read_log(tmp_path / "log.jsonl").start.defaults == {"noisy": False, "start": []}
    minimize(lambda a: a["x"], space, 9, noisy=True, start=[{"x": 3}], run_dir=tmp_path, resume=True)
    assert "True (default: False)" in write_report(tmp_path, kinds=KINDS).read_text()


def test_the_toy_problem_writes_down_what_was_changed(tmp_path):
    small = ToySettings(iterations=5, methods=("SNG",), exponents=(0.5,), learning_rates=(0.05,))
    run_toy(small, tmp_path, seeds=[0], workers=1, progress=False)
    changed = dict(settings_in(tmp_path).changed)
    assert changed["toy.iterations"] == "5 (default: 100000)"
    assert "toy.momentum" not in changed
    assert "5 (default: 100000)" in write_report(tmp_path, kinds=KINDS).read_text()


def test_a_default_is_what_a_field_has_without_being_told():
    assert defaults_of(SearchSettings()) == {}
    assert defaults_of(SearchSettings(peers=0)) == {"peers": 4}
