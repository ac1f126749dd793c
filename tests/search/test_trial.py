"""A search tries first what it will do: it changes nothing, and what cannot work fails before step one."""

import copy
from collections import UserDict

import pytest
import torch
from problems import data, fit, loader, mse, searcher, two_layers
from torch import nn
from torch.utils.data import DataLoader

from asng import nn as snn
from asng.costs.extremes import ends_of
from asng.errors import InputError
from asng.nn import Choice, Searchable, Supernet
from asng.search import Callback, OneShotSearch, trial
from asng.space import Categorical, Integer, Real
from asng.training import score


class Keeping(nn.Module):
    """Has all that a pass may change: averages, a counter, a kept tensor, a weight, a drawn number."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.passes, self.kept = nn.BatchNorm1d(3), nn.Dropout(0.2), 0, None
        self.register_buffer("code", torch.zeros(3))
        self.embed = nn.Embedding(4, 3, max_norm=1.0)

    def forward(self, x):
        self.passes += 1
        if self.training:
            self.code = 0.9 * self.code + x.detach().mean(0)
            self.kept = x.mean()
        return self.drop(self.norm(x)) + self.code + self.embed(torch.tensor([0, 1])).sum(0)


def keeping():
    torch.manual_seed(3)
    choice = Choice(
        {"one": nn.Linear(3, 1), "two": nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))}, label="c"
    )
    return Supernet(nn.Sequential(Keeping(), choice))


@pytest.mark.parametrize("rule", ["loss", "minimize"])
def test_the_bits_of_a_search_are_those_without_a_check(rule):
    def run(check):
        settings = {} if rule == "loss" else {rule: mse}
        search = searcher(keeping(), **settings, cost=())
        result = fit(search, train="own generator", epochs=1, check=check)
        return result, search.architecture_optimizer.state_dict(), torch.rand(1)

    (with_check, theta, draw), (without, other_theta, other_draw) = run(True), run(False)
    for name, value in with_check.supernet.state_dict().items():
        assert torch.equal(value, without.supernet.state_dict()[name]), name
    assert with_check.supernet.model[0].passes == without.supernet.model[0].passes
    assert theta == other_theta
    assert torch.equal(draw, other_draw)


def refused(search, match, **settings):
    """A search that is refused before its first step, and one that is not without the check."""
    steps = []
    search.loss = lambda forward, batch, loss=search.loss: steps.append(1) or loss(forward, batch)
    with pytest.raises(InputError, match=match):
        fit(search, epochs=1, check=True, **settings)
    return len(steps)


class Wrong(Searchable):
    """Its child computes something else."""

    def __init__(self, child, label="scale"):
        super().__init__()
        self.label, self.child, self.weight = label, child, nn.Parameter(torch.ones(1))

    def variables(self):
        return {"factor": Categorical([1.0, 2.0], label=self.label)}

    def forward(self, x):
        return x * self.value("factor") * self.weight

    def extract(self, extraction):
        return copy.deepcopy(self.child)  # a child shares nothing with the supernet


class Uneven(nn.Module):
    def forward(self, x):
        return x if self.training else x + 1


class Narrow(nn.Module):
    def forward(self, x):
        return x[:, :1]


@pytest.mark.parametrize(
    ("child", "told"),
    [
        (nn.Identity(), r"the largest architecture .*call 1 in training mode: .*numbers are up to"),
        (Narrow(), r"another output: shape \(8, 1\), not \(8, 3\)"),
        (
            nn.Linear(2, 2),
            r"expected (a child that can be extracted|the child to run as .*), got RuntimeError",
        ),
    ],
)
def test_a_child_that_computes_something_else_is_refused(child, told):
    supernet = Supernet(nn.Sequential(Wrong(child), nn.Identity()))
    loss = lambda forward, batch: (forward(batch[0]) - 3).square().mean()  # noqa: E731
    assert refused(searcher(supernet, loss), told) <= 5  # loss and objective, on a few items and on all


def test_a_child_that_is_wrong_in_evaluation_only_is_refused():
    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x * 2.0 * self.weight if self.training else x * 5.0

    supernet = Supernet(Wrong(Right()))
    loss = lambda forward, batch: (forward(batch[0]) - 3).square().mean()  # noqa: E731
    objective = lambda forward, batch: loss(forward, batch).item()  # noqa: E731
    refused(searcher(supernet, loss, minimize=objective), "call 1 in evaluation mode")


def test_a_loss_without_a_gradient_is_refused():
    search = searcher(two_layers(), lambda forward, batch: mse(forward, batch).detach())
    refused(search, "loss: expected a tensor with a gradient .* no weight would be trained")


def test_a_loss_of_nothing_to_learn_and_architectures_without_weights_pass():
    constant = searcher(
        two_layers(), lambda forward, batch: torch.zeros(()) * forward(batch[0]).detach().sum()
    )
    weightless = searcher(Supernet(Choice({"on": nn.Linear(3, 1), "off": Narrow()}, label="op")), mse)
    for search in (constant, weightless):
        assert fit(search, epochs=1, check=True).steps > 0


def test_an_objective_that_cannot_be_computed_fails_before_step_one(tmp_path):
    losses = []

    def loss(forward, batch):
        losses.append(1)
        return mse(forward, batch)

    search = searcher(two_layers(), loss, maximize=lambda forward, batch: forward(batch["pixels"]))
    with pytest.raises(TypeError, match="indices must be integers"):
        fit(search, run_dir=tmp_path / "run", check=True)
    assert len(losses) == 2  # on a few items, and on all
    assert not (tmp_path / "run").exists()


def test_what_is_drawn_at_random_is_no_difference():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.randn_like(x) * torch.rand(int(torch.randint(1, 5, ()))).mean()

    class More(Searchable):
        """Draws one number more than its child does."""

        def variables(self):
            return {"factor": Real(0.0, 1.0, label="r")}

        def forward(self, x):
            return torch.nn.functional.dropout(x, self.value("factor"), self.training) + torch.rand(()) * 0

        def extract(self, extraction):
            return nn.Dropout(self.value("factor"))

    supernet = Supernet(nn.Sequential(nn.Linear(3, 1), More(), Noisy()))
    assert fit(searcher(supernet), epochs=1, check=True).steps == 6


def test_gradients_and_modes_are_as_they_were():
    supernet = two_layers(norm=True)
    supernet.model[1].eval()
    parameter = next(supernet.parameters())
    parameter.grad = torch.full_like(parameter, 7.0)
    seen = []

    def optimizer(parameters):
        return torch.optim.SGD(parameters, lr=0.0)

    search = searcher(supernet, optimizer=optimizer)
    with search.stepping(loader(), loader(24)) as loop:
        from asng.search.trial import try_first

        before = [module.training for module in supernet.modules()]
        try_first(loop.trainer, loop.scorer)
        seen = [module.training for module in supernet.modules()]
    assert seen == before
    assert (parameter.grad == 7).all()


def test_the_ends_of_a_space_are_the_largest_and_the_smallest():
    model = nn.Sequential(
        Choice({"large": nn.Linear(3, 3), "none": nn.Identity()}, label="op"),
        snn.Conv1d(3, Integer(2, 8, label="w"), Categorical([5, 1, 3], label="k")),
        snn.Activation(["ReLU", "Tanh"], label="act"),
    )
    largest, smallest = ends_of(Supernet(model))
    assert dict(largest) == {"op": "large", "w": 8, "k": 5, "act": "Tanh"}
    assert dict(smallest) == {"op": "none", "w": 2, "k": 1, "act": "ReLU"}


def test_what_does_not_fit_into_memory_is_passed_over():
    class Hungry(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("out of memory")

    supernet = Supernet(Choice({"a": nn.Linear(3, 1), "b": Hungry()}, label="op"))
    result = OneShotSearch(supernet, mse, warmup=0.0, final=0.0).fit(
        loader(), loader(24), epochs=1, progress=False
    )
    assert result.out_of_memory > 0


def test_a_search_of_one_pass_takes_few_more():
    calls = []

    def loss(forward, batch):
        calls.append(1)
        return mse(forward, batch)

    fit(searcher(two_layers(), loss, minimize=mse, warmup=1.0), epochs=1, check=True)
    assert len(calls) - 6 <= 4
    assert len(data()) == 48


@pytest.mark.parametrize(("train", "valid", "named"), [(41, 24, "train_loader"), (40, 17, "valid_loader")])
def test_a_batch_of_one_that_a_norm_cannot_take_is_told_before_step_one(train, valid, named):
    search = searcher(two_layers(norm=True), final=0.0)
    with pytest.raises(InputError, match=f"^{named}: expected batches of two items or more"):
        search.fit(loader(train), loader(valid), epochs=1, progress=False)
    assert searcher(two_layers()).fit(loader(train), loader(valid), epochs=1, progress=False).steps


@pytest.mark.parametrize("whole", [False, True])
def test_a_batch_that_is_changed_in_place_is_refused_where_other_architectures_get_it(whole):
    def halving(forward, batch):
        return mse(forward, (batch[0].mul_(0.5), batch[1]))

    class Doubling(nn.Module):
        def forward(self, x):
            return x.add_(x)

    net = Supernet(nn.Sequential(Doubling(), *two_layers().model)) if whole else two_layers()
    loss = mse if whole else halving
    refused(searcher(net, loss), "^loss: expected .* to leave the batch as it is")
    with pytest.raises(InputError, match=r"^loss: expected .* to leave the batch as it is"):
        fit(searcher(net, loss, minimize=lambda forward, batch: 0.0, lam_x=2))
    if not whole:  # each batch goes to one architecture
        assert fit(searcher(net, loss, minimize=mse), check=True).reason == "finished"


def test_a_loss_of_derivatives_by_the_input_passes_the_check():
    def physical(forward, batch):
        slopes = torch.func.vmap(torch.func.jacrev(lambda row: forward(row[None])[0, 0]))(batch[0])
        return (slopes - 1.0).square().mean()

    net = nn.Sequential(snn.Linear(3, Integer(2, 8, label="w")), nn.Tanh(), snn.Linear(8, 1))
    result = fit(searcher(Supernet(net), physical), epochs=2, check=True)
    found = result.retrain(loader(), loader(), epochs=1, peers=0, progress=False)
    assert score(found.child, loader(), physical) == found.found.score
    refused(searcher(Supernet(Wrong(Narrow())), physical), "another output: shape")


@pytest.mark.parametrize("kind", [dict, UserDict])
@pytest.mark.parametrize(
    "wrapped", [lambda batch: batch, lambda batch: [batch], lambda batch: {"in": (batch,)}]
)
def test_a_loss_may_take_things_out_of_a_batch(kind, wrapped):
    def popping(forward, batch):
        if isinstance(batch, list):
            batch = batch.pop()
        elif "in" in batch:
            (batch,) = batch.pop("in")
        target = batch.pop("y")
        return (forward(**batch) - target).square().mean()

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.op = Choice([nn.Linear(3, 1), nn.Identity()], label="op")

        def forward(self, *, x):
            return self.op(x)

    def collated(items):
        return kind(x=torch.stack([x for x, _ in items]), y=torch.stack([y for _, y in items]))

    batches = DataLoader(data(), 8, collate_fn=lambda items: wrapped(collated(items)))
    search = searcher(Supernet(Named()), popping, minimize=popping, warmup=0.0, lam_x=2)
    result = search.fit(batches, batches, epochs=1, progress=False)
    assert score(result.child, batches, popping) > 0.0


def sizes_seen(monkeypatch, loss, *, quick, **settings):
    """How many items each loss before the first step was of, of a batch of 8."""
    seen, begun = [], []

    def counted(forward, batch):
        if not begun:
            seen.append(len(batch[0]))
        return loss(forward, batch)

    class Begins(Callback):
        def begin(self, loop):
            begun.append(True)

    monkeypatch.setattr(trial, "QUICK", quick)
    search = searcher(two_layers(norm=True), counted, minimize=mse, callbacks=[Begins()], **settings)
    fit(search, epochs=1, check=True)
    return seen


def test_long_passes_are_of_few_items_but_for_one_architecture(monkeypatch):
    seen = sizes_seen(monkeypatch, mse, quick=0.0)
    assert seen.count(8) == 1
    assert seen.count(4) == len(seen) - 1 >= 2


def test_short_passes_are_of_whole_batches(monkeypatch):
    seen = sizes_seen(monkeypatch, mse, quick=60.0)
    assert seen.count(4) == 1
    assert seen.count(8) == len(seen) - 1 >= 2


def test_a_loss_that_few_items_are_too_few_for_is_tried_on_whole_batches(monkeypatch):
    def in_pairs(forward, batch):
        outputs = forward(batch[0]).reshape(2, 4)
        return (outputs[0] - outputs[1]).square().mean()

    seen = sizes_seen(monkeypatch, in_pairs, quick=0.0)
    assert seen[:2] == [4, 8]
    assert 4 not in seen[1:]


def test_what_a_few_items_do_not_show_is_found_on_whole_batches(monkeypatch):
    """A label that does not exist, in the last item."""

    def loss(forward, batch):
        if len(batch[0]) == 8:
            raise IndexError("Target 10 is out of bounds.")
        return mse(forward, batch)

    with pytest.raises(IndexError, match="Target 10"):
        sizes_seen(monkeypatch, loss, quick=0.0)


def test_every_try_begins_with_the_same_weights_also_where_passes_write_them_past_torch():
    class Doubling(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            self.scale.data.mul_(2)
            return x * self.scale

    op = Choice({"one": nn.Linear(3, 1), "two": nn.Linear(3, 1, bias=False)}, label="op")
    supernet, seen = Supernet(nn.Sequential(Doubling(), op)), []

    def loss(forward, batch):
        seen.append(supernet.model[0].scale.tolist())
        return mse(forward, batch)

    with searcher(supernet, loss, minimize=mse).stepping(loader(), loader(24)) as loop:
        seen.clear()
        trial.try_first(loop.trainer, loop.scorer)
    assert len(seen) > 2
    assert seen == [[1, 1, 1]] * len(seen)
