"""A network of the user's own, trained and compared like the found one."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
import user_things
from small_tasks import SMALL
from torch import nn

from asng.errors import InputError, RunError
from asng.pipeline import retrain_run, run_seeds, run_task
from asng.pipeline import train_alone as training
from asng.pipeline.task import Recipe
from asng.tasks.reopen import stored_run
from asng.tasks.user import UserSettings, user_task
from asng.training import score, sgd, supervised, train


def settings_of(baseline, data="loaders", **arguments):
    parts = {"model": {"import": "user_things.Net"}, "data": {"import": f"user_things.{data}"}}
    named = None if baseline is None else {"import": f"user_things.{baseline}", **arguments}
    return UserSettings(**parts, baseline=named, maximize="accuracy")


def task_of(baseline, data="loaders", **arguments):
    return user_task(settings_of(baseline, data, **arguments))


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def scores(folder):
    result = result_of(folder)
    networks = [result["found"], *result["random"], *([result["baseline"]] if result["baseline"] else [])]
    return [(n["score"], n["architecture"], n["parameters"]) for n in networks]


@pytest.mark.parametrize("baseline", ["Plain", "plain"])
def test_a_baseline_is_trained_as_one_would_by_hand(baseline, tmp_path):
    task = task_of(baseline, width=5)
    folder = run_task(task, SMALL, tmp_path / "run", seed=3, progress=False)
    torch.manual_seed(3_000)  # of the found network too
    model = user_things.Plain(5)
    optimizer = partial(sgd, learning_rate=SMALL.learning_rate, weight_decay=task.weight_decay)
    loaders = task.loaders(3)
    train(model, loaders.train, loss=task.loss, epochs=SMALL.retrain_epochs, optimizer=optimizer)
    baseline = result_of(folder)["baseline"]
    assert baseline["score"] == score(model, loaders.test, task.score)
    assert baseline["parameters"] == 2 * 5 + 5 + 5 * 2 + 2
    assert baseline["architecture"] is None


def test_a_baseline_changes_nothing_of_the_search_and_the_other_networks(tmp_path):
    with_one, without = (
        run_task(task_of(name, "with_generator"), SMALL, tmp_path / str(name), progress=False)
        for name in ("Plain", None)
    )
    assert scores(with_one)[:-1] == scores(without)
    assert result_of(without)["baseline"] is None


@pytest.mark.parametrize("stop_at", [0, 1, 2, 3])
def test_a_run_with_a_baseline_resumes_to_the_same_scores(stop_at, tmp_path, monkeypatch):
    task = task_of("Plain", "with_generator")
    whole = run_task(task, SMALL, tmp_path / "whole", progress=False)
    count, real = iter(range(10)), training.train

    def stopping(*args, **settings):
        if next(count) == stop_at:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(training, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_task(task, SMALL, tmp_path / "run", progress=False)
    trained = []
    monkeypatch.setattr(training, "train", lambda *a, **s: trained.append(s["title"]) or real(*a, **s))
    run_task(task, SMALL, tmp_path / "run", resume=True, progress=False)
    assert scores(tmp_path / "run") == scores(whole)
    order = ["train found", "train baseline", "train random 1 of 2", "train random 2 of 2"]
    assert trained == order[stop_at:]


def test_retraining_trains_the_baseline_anew(tmp_path):
    task = task_of("Plain")
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    before = result_of(folder)
    retrain_run(task, replace(SMALL, retrain_epochs=3), folder, progress=False)
    assert result_of(folder)["baseline"]["score"] != before["baseline"]["score"]
    assert result_of(folder)["test_items"] == before["test_items"] == 16


def test_a_summary_has_baselines_peers_and_items_of_each_seed(tmp_path):
    folder = run_seeds(task_of("Plain"), SMALL, tmp_path / "run", seeds=[0, 1], progress=False)
    for row in json.loads((folder / "summary.json").read_text())["seeds"]:
        result = result_of(folder / row["folder"])
        assert row["baseline"] == result["baseline"]["score"]
        assert row["peers"] == [peer["score"] for peer in result["random"]]
        assert row["test_items"] == 16


def test_what_only_the_recipes_own_model_needs_is_not_asked_of_a_baseline(tmp_path):
    def first(output, target):
        return nn.functional.cross_entropy(output[0], target)

    class Twice(user_things.Net):
        def forward(self, x):
            return super().forward(x), None

    def refuse_plain(network, done, steps):
        assert not isinstance(network, user_things.Plain)

    recipe = Recipe(build=lambda a: Twice(), loss=supervised(first), before_step=refuse_plain)
    folder = run_task(replace(task_of("Plain"), recipe=recipe), SMALL, tmp_path / "run", progress=False)
    assert 0 <= result_of(folder)["baseline"]["score"] <= 1


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("Net", "baseline: expected a plain network, got Net with the searchable Choice at 'layers.1'"),
        ("wide", "baseline: expected a network for the batches that the model takes, got RuntimeError"),
        ("number", "baseline: expected a torch.nn.Module from user_things.number, got a int"),
        ("raises", "baseline: module user_things has no 'raises'"),
        ("Options", "baseline: expected user_things.Options to be a torch.nn.Module class, or a function"),
    ],
)
def test_a_baseline_that_cannot_be_trained_is_named_and_nothing_is_written(baseline, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run_task(task_of(baseline), SMALL, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_baseline_of_a_run_folder_is_imported_if_it_is_trusted_only(tmp_path):
    folder = run_task(task_of("Plain"), SMALL, tmp_path / "run", progress=False)
    trusted = ["user_things.Net", "user_things.loaders"]
    with pytest.raises(RunError, match=r"would have user_things.Plain imported and called.*--trust"):
        stored_run(folder, trusted=trusted)
    assert stored_run(folder, trusted=[*trusted, "user_things.Plain"]).task.baseline is not None
