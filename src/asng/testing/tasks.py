"""The contract of every task: reproducible data, a searchable model, and finite scores."""

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.utils.data import DataLoader

from asng.nn import Supernet
from asng.pipeline import SearchSettings, Task, run_task
from asng.report import read_run
from asng.space import Architecture
from asng.testing.claims import equal, true, try_all
from asng.training.data.nested import tensors_in
from asng.training.data.random_state import seeded
from asng.training.forward import ArchitectureForward
from asng.training.inputs import example_inputs

__all__ = ["TASK_CLAIMS", "check_task"]

MakeTask = Callable[[], Task]

_LOADERS = ("search_train", "search_valid", "train", "test")
_COUNT = 3
"""Number of architectures tried for each claim, sampled with seed 0."""


def check_task(make: MakeTask) -> None:
    """Check that a task keeps the contract that the pipeline relies on, by all of `TASK_CLAIMS`.

    One claim searches for two passes over the data, so use little data.

    Args:
        make: A function without arguments that makes the task.

    Raises:
        AssertionError: With a line for each claim that fails.
    """
    try_all(TASK_CLAIMS, make)


def it_is_described_by_plain_values(make: MakeTask) -> None:
    """Its settings can be written to config.yaml, and a task that is made again has the same description."""
    task = make()
    settings = json.loads(json.dumps(task.settings, allow_nan=False))
    equal("settings by way of JSON", settings, dict(task.settings))
    names = (task.name, task.data, task.metric)
    true("name, data and metric", all(isinstance(n, str) and n for n in names), expected="words", got=names)
    again = make()
    equal("fingerprint, made again", again.fingerprint, task.fingerprint)
    equal("settings, made again", dict(again.settings), dict(task.settings))


def it_selects_by_one_thing(make: MakeTask) -> None:
    """At most one of `minimize` and `maximize` is given; without them, the search selects by the loss."""
    task = make()
    both = task.minimize is not None and task.maximize is not None
    true("minimize and maximize", not both, expected="one of them, or none", got="both")


def loaders_have_a_length_and_a_batch(make: MakeTask) -> None:
    """Each of the four loaders yields as many batches as its length says, at least one."""
    loaders = make().loaders(0)
    for name in _LOADERS:
        loader = getattr(loaders, name)
        true(f"len({name})", len(loader) >= 1, expected=">= 1", got=len(loader))
        equal(f"batches of {name}", sum(1 for _ in loader), len(loader))


def the_same_seed_gives_the_same_loaders(make: MakeTask) -> None:
    """Batches are equal to the last bit, whatever was made or drawn from the global generators before."""
    task = make()
    first = {name: _batches(loader) for name, loader in _named(task, 1)}
    _named(task, 2)
    torch.rand(3)
    for name, loader in _named(task, 1):
        again = _batches(loader)
        same = len(again) == len(first[name]) and all(map(torch.equal, again, first[name]))
        true(f"{name} of the same seed", same, expected="the same batches", got="others")


def data_that_score_come_again_with_every_pass(make: MakeTask) -> None:
    """Otherwise networks would be compared on different data: `test` must not be shuffled."""
    test = make().loaders(0).test
    first, again = list(_tensors(test)), list(_tensors(test))
    same = len(first) == len(again) and all(map(torch.equal, first, again))
    true("a second pass over test", same, expected="the same batches", got="others")


def a_model_built_again_has_the_same_variables(make: MakeTask) -> None:
    """The model of a child has no variables that the search does not have."""
    task = make()
    space = Supernet(task.build()).space
    equal("variables of a second model", Supernet(task.build()).space, space)
    for a in _architectures(task):
        missing = set(Supernet(task.child(a)).space) - set(space)
        equal("variables of task.child(a) that the search does not have", missing, set())


def loss_and_scores_are_finite_numbers(make: MakeTask) -> None:
    """This holds for every architecture, and the loss has a gradient."""
    task = make()
    loaders = task.loaders(0)
    others: dict[str, Any] = {"loss": task.loss, "minimize": task.minimize, "maximize": task.maximize}
    scores = {"score": task.score, **task.others, **{n: f for n, f in others.items() if f is not None}}
    supernet = Supernet(task.build())
    for a in _architectures(task):
        train, test = next(iter(loaders.search_train)), next(iter(loaders.test))
        supernet.train().zero_grad(set_to_none=True)
        loss = task.loss(ArchitectureForward(supernet, a), train)
        true("loss", isinstance(loss, torch.Tensor) and loss.requires_grad, expected="a gradient", got=loss)
        loss.backward()  # type: ignore[no-untyped-call]
        reached = any(p.grad is not None for p in supernet.parameters())
        true("weights that the gradient reaches", reached, expected="one at least", got="none")
        supernet.eval()
        for name, function in scores.items():
            with torch.no_grad():
                value = float(function(ArchitectureForward(supernet, a), test))
            true(name, math.isfinite(value), expected="a finite number", got=value)


def a_child_scores_what_it_scored_in_the_supernet(make: MakeTask) -> None:
    """Scores are equal to the last bit, because the score depends only on the output of a network."""
    task = make()
    loaders = task.loaders(0)
    batch = next(iter(loaders.test))
    for a in _architectures(task):
        supernet = Supernet(task.build()).eval()
        child = supernet.extract(a, example=example_inputs(supernet, a, task.loss, loaders.train))
        with torch.no_grad():
            got = float(task.score(child, batch))
            expected = float(task.score(ArchitectureForward(supernet, a), batch))
        equal(f"score of the child of {dict(a)}", got, expected)


def graphs_are_plain_values(make: MakeTask) -> None:
    """Each graph of an architecture can be written as JSON, and its edges join nodes of the graph."""
    task = make()
    for a in _architectures(task) if task.graphs is not None else []:
        assert task.graphs is not None
        for graph in json.loads(json.dumps(task.graphs(a))):
            ids = {node["id"] for node in graph["nodes"]}
            loose = [e for e in graph["edges"] if not {e["from"], e["to"]} <= ids]
            equal(f"edges of {graph['title']!r} that join no two nodes", loose, [])


def it_runs_from_the_data_to_the_report(make: MakeTask) -> None:
    """A search of two passes and the retraining of two networks for one pass end in a report."""
    task = make()
    settings = SearchSettings(epochs=2, retrain_epochs=1, peers=1, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        run = read_run(run_task(task, settings, Path(folder) / "run", progress=False))
        true("the result of the run", run.result is not None, expected="a result", got=None)
        reason = run.log.end and run.log.end.reason
        equal("why the search ended", reason, "finished")


TASK_CLAIMS: tuple[Callable[[MakeTask], None], ...] = (
    it_is_described_by_plain_values,
    it_selects_by_one_thing,
    loaders_have_a_length_and_a_batch,
    the_same_seed_gives_the_same_loaders,
    data_that_score_come_again_with_every_pass,
    a_model_built_again_has_the_same_variables,
    loss_and_scores_are_finite_numbers,
    a_child_scores_what_it_scored_in_the_supernet,
    graphs_are_plain_values,
    it_runs_from_the_data_to_the_report,
)
"""All claims; each takes a function that makes a task, and its name says what it claims."""


def _architectures(task: Task) -> list[Architecture]:
    rng = Random(0)
    space = Supernet(task.build()).space
    return [space.sample(rng) for _ in range(_COUNT)]


def _named(task: Task, seed: int) -> list[tuple[str, DataLoader[Any]]]:
    loaders = task.loaders(seed)
    return [(name, getattr(loaders, name)) for name in _LOADERS]


def _batches(loader: DataLoader[Any], count: int = 3) -> list[torch.Tensor]:
    """Return the tensors of the first batches, read with the global generators at seed 0."""
    with seeded(0):
        return list(_tensors(islice(loader, count)))


def _tensors(batches: Any) -> Iterator[torch.Tensor]:
    for batch in batches:
        yield from tensors_in(batch)
