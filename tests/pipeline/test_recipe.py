"""How chosen networks are trained alone."""

import json
from dataclasses import replace
from functools import partial
from random import Random

import pytest
import torch
import user_things
from small_tasks import SMALL, small_cells
from torch import nn

from asng.errors import InputError
from asng.nn import Supernet
from asng.pipeline import run_task
from asng.pipeline.task import Recipe
from asng.pipeline.train_alone import train_from_scratch
from asng.tasks.classification import classification
from asng.tasks.reopen import load_child, stored_run
from asng.tasks.user import UserSettings, user_task
from asng.training import supervised

SGD = partial(torch.optim.SGD, lr=0.05)


class WithHead(user_things.Net):
    """Net with a second head that only training sees."""

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(2, 2)

    def forward(self, x):
        logits = super().forward(x)
        return logits, self.second(logits)


def both(output, target):
    first, second = output
    return nn.functional.cross_entropy(first, target) + 0.4 * nn.functional.cross_entropy(second, target)


@pytest.fixture
def task():
    parts = {"model": {"import": "user_things.Net"}, "data": {"import": "user_things.loaders"}}
    return user_task(UserSettings(**parts))


def train(task, **settings):
    architecture = Supernet(task.build()).space.sample(Random(0))
    return train_from_scratch(
        task,
        replace(SMALL, **settings),
        architecture,
        loaders=task.loaders(0),
        seed=1,
        title="",
        progress=False,
    )


def test_what_only_training_needs_is_gone_and_the_rest_is_handed_over(task):
    seen = []

    def keep(network, done, steps):
        seen.append(network)

    recipe = Recipe(SGD, build=lambda a: WithHead(), loss=supervised(both), before_step=keep)
    trained = train(replace(task, recipe=recipe))
    names = {name for name, _ in trained.network.named_parameters()}
    assert not any("second" in name for name in names)
    larger = dict(seen[-1].named_parameters())
    assert {name for name in larger if "second" in name} == {"second.weight", "second.bias"}
    assert all(torch.equal(weight, larger[name]) for name, weight in trained.network.named_parameters())
    assert not trained.network.training


def test_a_build_without_the_childs_weights_is_an_error(task):
    recipe = Recipe(SGD, build=lambda a: nn.Sequential(user_things.Net()))
    with pytest.raises(InputError, match=r"recipe\.build: expected a network with all weights"):
        train(replace(task, recipe=recipe))


def test_optimizer_schedule_clip_and_steps_are_the_recipes(task):
    rates, calls = [], []

    def falling(weights, steps):
        assert steps == 2 * len(task.loaders(0).train)
        return torch.optim.lr_scheduler.LambdaLR(weights, lambda step: rates.append(step) or 0.5**step)

    recipe = Recipe(
        SGD, scheduler=falling, before_step=lambda network, done, steps: calls.append((done, steps))
    )
    train(replace(task, recipe=recipe), retrain_epochs=2)
    steps = 2 * len(task.loaders(0).train)
    assert calls == [(done, steps) for done in range(steps)]
    assert len(rates) == steps + 1


def test_without_a_recipe_training_is_that_of_the_search(task):
    plain = train(task)
    same = train(replace(task, recipe=Recipe(partial(_search_sgd, lr=SMALL.learning_rate))))
    for one, other in zip(plain.network.parameters(), same.network.parameters(), strict=True):
        assert torch.equal(one, other)


def _search_sgd(parameters, *, lr):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=3e-4)


def test_the_papers_update_moves_theta_otherwise_and_is_kept_in_the_folder(tmp_path):
    task = classification(small_cells(tmp_path))
    short = replace(SMALL, warmup=0.0, retrain_epochs=0)
    thetas = {}
    for update in ("default", "paper"):
        folder = run_task(task, replace(short, update=update), tmp_path / update, progress=False)
        records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        thetas[update] = [record["theta"] for record in records if "theta" in record][-1]
        assert stored_run(folder).settings.update == update
    assert thetas["default"] != thetas["paper"]


def test_another_word_for_the_update_is_an_error():
    with pytest.raises(InputError, match="update: expected one of 'default', 'paper', got 'papr'"):
        replace(SMALL, update="papr")


def test_a_child_of_a_task_with_a_recipe_is_read_back(tmp_path):
    task = classification(small_cells(tmp_path))
    folder = run_task(replace(task, recipe=Recipe(SGD)), SMALL, tmp_path / "run", progress=False)
    child = load_child(stored_run(folder), folder)
    assert not child.training
