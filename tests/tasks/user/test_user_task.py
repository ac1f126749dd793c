import json

import pytest
import torch
import user_things
from small_tasks import SMALL
from torch import nn

from asng.errors import InputError
from asng.pipeline import run_task
from asng.pipeline import train_alone as training
from asng.pipeline.prepare import place
from asng.pipeline.train_alone import fresh_child
from asng.space import Architecture
from asng.tasks.reopen import load_child, stored_run
from asng.tasks.user import UserSettings, user_task
from asng.training import accuracy, score

CPU = torch.device("cpu")


def task_of(model="Net", data="loaders", **settings):
    parts = {"model": {"import": f"user_things.{model}"}, "data": {"import": f"user_things.{data}"}}
    return user_task(UserSettings(**parts, **settings))


def scores(folder):
    result = json.loads((folder / "result.json").read_text())
    return [n["score"] for n in (result["found"], *result["random"])]


def test_by_default_the_loss_is_minimised_and_compared():
    task = task_of()
    batch = next(iter(task.loaders(0).test))
    assert (task.metric, task.higher_is_better, task.minimize, task.maximize) == ("loss", False, None, None)
    logits = torch.randn(16, 2)
    expected = nn.functional.cross_entropy(logits, batch[1])
    assert float(task.score(lambda x: logits, batch)) == pytest.approx(float(expected))


def test_an_objective_is_what_is_selected_and_compared_by():
    up, down = task_of(maximize="accuracy"), task_of(minimize="accuracy")
    assert (up.maximize, up.minimize, up.score, up.higher_is_better) == (accuracy, None, accuracy, True)
    assert (down.maximize, down.minimize, down.score, down.higher_is_better) == (
        None,
        accuracy,
        accuracy,
        False,
    )
    assert up.metric == "accuracy"


def test_a_module_class_is_a_criterion_too():
    images, labels = torch.randn(4, 2), torch.tensor([0, 1, 1, 0])
    loss = task_of(loss="torch.nn.MultiMarginLoss").loss
    assert loss(lambda x: x, (images, labels)) == nn.MultiMarginLoss()(images, labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "user_things.Net"},
            "model: expected an import path under 'import', got 'user_things.Net'",
        ),
        ({"data": {"batch_size": 3}}, "data: expected an import path under 'import'"),
        ({"valid_share": 1.5}, r"valid_share: expected a number in \[0.0, 1.0\], got 1.5"),
    ],
)
def test_unfit_settings_are_named(settings, message):
    good = {"model": {"import": "user_things.Net"}, "data": {"import": "user_things.loaders"}}
    with pytest.raises(InputError, match=message):
        UserSettings(**{**good, **settings})


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("Net", "loaders"),
        ("WideNet", "loaders"),
        ("Volumes", "loaders"),
        ("Ragged", "ragged"),
        ("Lazy", "loaders"),
    ],
)
def test_the_road_takes_models_and_batches_of_many_forms(model, data, tmp_path):
    folder = run_task(task_of(model, data), SMALL, tmp_path / "run", progress=False)
    settings = task_of(model, data).settings
    names = [settings["model"]["import"], settings["data"]["import"]]
    stored = stored_run(folder, trusted=[*names, settings["loss"], settings["batch_loss"]])
    child = load_child(stored, folder)
    assert not any(type(m).__module__.startswith("asng") for m in child.modules())
    value = score(child, stored.loaders.test, stored.task.score)
    assert value == pytest.approx(scores(folder)[0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("Weightless", "model: expected weights to train, got none in Weightless"),
    ],
)
def test_a_model_that_cannot_be_trained_is_named_and_nothing_is_written(model, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run_task(task_of(model), SMALL, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_fresh_child_has_the_weights_of_a_model_built_anew_and_draws_nothing_else():
    task = task_of("Volumes")
    loaders = task.loaders(0)
    torch.manual_seed(3)
    model = task.build()
    state = torch.get_rng_state()
    torch.manual_seed(3)
    child = fresh_child(task, Architecture({"op": "conv"}), loaders, CPU)
    assert torch.equal(child.last.weight, model.last.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fresh_child_of_cut_layers_is_drawn_for_its_own_sizes():
    task = task_of("WideNet")
    torch.manual_seed(3)
    cut = task.build().wide.weight[:3, :2]
    torch.manual_seed(3)
    child = fresh_child(task, Architecture({"width": 3}), task.loaders(0), CPU)
    assert child.wide.weight.shape == cut.shape
    assert not torch.equal(child.wide.weight, cut)


@pytest.mark.parametrize("stop_at", [1, 2])
def test_loaders_with_a_generator_resume_to_the_same_scores(stop_at, tmp_path, monkeypatch):
    task = task_of(data="with_generator")
    whole = run_task(task, SMALL, tmp_path / "whole", progress=False)
    count, real = iter(range(10)), training.train

    def stopping(*args, **settings):
        if next(count) == stop_at:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(training, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_task(task, SMALL, tmp_path / "run", progress=False)
    monkeypatch.setattr(training, "train", real)
    run_task(task, SMALL, tmp_path / "run", resume=True, progress=False)
    assert scores(tmp_path / "run") == scores(whole)


def test_the_weights_of_images_are_channels_last_and_others_are_left():
    conv = place(nn.Conv2d(3, 4, 5), CPU).weight
    assert conv.is_contiguous(memory_format=torch.channels_last)
    assert place(user_things.Volumes(), CPU).volume.weight.shape == (2, 1, 1, 1, 1)
