"""What cannot work is refused at the beginning, in words, and leaves no folder."""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

import asng
from asng.compression import compress
from asng.errors import InputError, RunError

X = torch.randn(24, 8, generator=torch.Generator().manual_seed(0))
DATA = DataLoader(TensorDataset(X, X[:, :1] * X[:, 1:2]), batch_size=8)
MEAN = asng.supervised(nn.functional.mse_loss)


def refused(match, **changed):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    arguments = {"loss": MEAN, "budget": 0.5, "epochs": 1, "evaluations": 4, "progress": False}
    with pytest.raises(InputError, match=match):
        compress(model, DATA, DATA, **{**arguments, **changed})


def test_a_loss_that_is_not_finite_is_refused_before_anything_is_trained(tmp_path):
    refused(
        r"loss: expected a finite number on the first batch, got nan",
        loss=lambda f, b: MEAN(f, b) * float("nan"),
    )
    refused(r"got inf", loss=lambda f, b: MEAN(f, b) / 0.0, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("teaching", [0.0, 0.5])
def test_a_loss_without_a_gradient_is_refused_with_a_teacher_too(teaching):
    detached = lambda forward, batch: MEAN(forward, batch).detach()  # noqa: E731
    refused(r"loss: expected one with a gradient .* got none", loss=detached, teaching=teaching)
    refused(r"loss: expected one with a gradient", loss=lambda f, b: MEAN(f, b).item(), teaching=teaching)


def test_a_loss_that_uses_more_than_calls_is_refused_before_anything_is_trained():
    def penalised(forward, batch):
        return MEAN(forward, batch) + sum(weight.abs().sum() for weight in forward.parameters())

    refused(r"got AttributeError: forward: expected a call, .*'parameters'.*running", loss=penalised)


@pytest.mark.parametrize("resume", [False, True])
def test_no_child_is_written_into_a_linked_folder(resume, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "multiply_adds-0.5").symlink_to(tmp_path)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(RunError, match=r"multiply_adds-0.5: expected a folder, got a link"):
        compress(model, DATA, DATA, loss=MEAN, budget=0.5, run_dir=tmp_path / "run", resume=resume)
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "multiply_adds-0.5"]


@pytest.mark.parametrize("part", [asng.nn.Choice({"a": nn.ReLU(), "b": nn.Tanh()}), asng.nn.Linear(16, 16)])
def test_a_model_with_an_open_choice_is_refused_by_its_name(part):
    model = nn.Sequential(nn.Linear(8, 16), part, nn.Linear(16, 1))
    with pytest.raises(InputError, match=rf"model: .* {type(part).__name__} at '1'.* asng\.OneShotSearch"):
        compress(model, DATA, DATA, loss=MEAN, budget=0.5)


def test_a_program_of_torch_is_refused_and_a_compiled_model_is_compressed_uncompiled():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    arguments = {"loss": MEAN, "budget": 0.5, "epochs": 1, "evaluations": 4, "progress": False}
    program = torch.export.export(model, (X,)).module()
    with pytest.raises(InputError, match="model: expected one whose layers are modules in Python"):
        compress(program, DATA, DATA, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        script = torch.jit.script(model)
    with pytest.raises(InputError, match="model: expected one whose layers are modules in Python"):
        compress(script, DATA, DATA, **arguments)

    def backend(*_):
        raise AssertionError("compiled")

    made = compress(torch.compile(model, backend=backend), DATA, DATA, **arguments)
    assert type(made.child) is type(made.model.network) is nn.Sequential


def test_a_loss_of_other_weights_is_refused():
    own = torch.zeros((), requires_grad=True)
    refused(r"expected one with a gradient", loss=lambda f, b: MEAN(f, b).detach() + own)


def test_a_budget_that_no_child_meets_leaves_no_folder(tmp_path):
    refused(r"budget: expected a budget that", budget="parameters=2", run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_earlier_run_stays_if_the_next_one_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused(r"budget: expected", budget="parameters=2", run_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"budget": None, "budgets": 0.5}, r"budgets: expected a list.*budget="),
        (
            {"maximize": "accuracy"},
            r"maximize: expected a function .* got 'accuracy'.*asng\.training\.accuracy",
        ),
        ({"minimize": 3}, r"minimize: expected a function .* got 3"),
        (
            {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1)},
            r"optimizer: expected a function .* got a SGD",
        ),
        ({"optimizer": "adam"}, r"optimizer: expected a function .* got 'adam'"),
        ({"scheduler": "cosine"}, r"scheduler: expected a function .* got 'cosine'"),
        ({"items": 3}, r"items: expected a function of a batch, got 3"),
        ({"clip": -1.0}, r"clip: expected a number in \(0\.0, inf\], got -1"),
        ({"options": ["skip"]}, r"options: expected a mapping"),
        ({"example": torch.zeros(2, 3)}, r"run on the example .* tensors of .*\(2, 3\)"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named(changed, match):
    refused(match, **changed)


class Normed(nn.Sequential):
    """A network with a batch norm, which cannot be trained on a batch of one item."""

    def __init__(self):
        super().__init__(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))


def batches_of(size, **options):
    return DataLoader(DATA.dataset, batch_size=size, **options)


def test_a_last_batch_of_one_item_is_refused_if_the_model_cannot_take_it():
    refused = r"{}: expected batches .* got a last batch of one item: .*drop_last=True"
    arguments = {"loss": MEAN, "budget": 0.5, "epochs": 1, "evaluations": 4, "progress": False}
    with pytest.raises(InputError, match=refused.format("train")):
        compress(Normed(), batches_of(23), DATA, **arguments)
    with pytest.raises(InputError, match=refused.format("valid")):
        compress(Normed(), DATA, batches_of(23), **arguments)
    compress(Normed(), batches_of(23, drop_last=True), batches_of(12), **arguments)


def test_batches_of_one_item_are_refused_if_the_model_cannot_take_them():
    with pytest.raises(InputError, match=r"expected Normed and the loss to run on a first batch in training"):
        compress(Normed(), batches_of(1), DATA, loss=MEAN, budget=0.5, progress=False)


def test_a_last_batch_of_one_item_is_taken_by_a_model_that_can():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    made = compress(
        model, batches_of(23), batches_of(23), loss=MEAN, budget=0.5, epochs=1, evaluations=4, progress=False
    )
    assert made.children


def test_a_metric_without_a_value_is_refused_before_anything_is_trained(tmp_path):
    refused(
        r"minimize, maximize: expected a number for the whole model, got nan from .*lambda",
        maximize=lambda forward, batch: float("nan"),
        run_dir=tmp_path / "run",
    )
    assert not (tmp_path / "run").exists()


def test_a_batch_that_no_few_steps_see_stops_the_shared_training(tmp_path):
    x, y = X.repeat(12, 1), X.repeat(12, 1)[:, :1]
    x[200] = float("nan")
    data = DataLoader(TensorDataset(x, y), batch_size=8)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(InputError, match=r"loss: expected a finite number on a batch, got nan. The inputs"):
        compress(model, data, DATA, loss=MEAN, budget=0.5, run_dir=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "compression.jsonl").exists()


def test_shared_weights_that_are_lost_are_told():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    steps = iter(range(10**6))

    class Lost(torch.optim.SGD):
        def step(self, closure=None):
            if next(steps) > 12:  # more than the few steps
                self.param_groups[0]["params"][0].data.fill_(float("nan"))

    with pytest.raises(RunError, match=r"loss: .* of the shared weights, got none in 19 of 30"):
        compress(
            model, DATA, DATA, loss=MEAN, budget=0.5, optimizer=lambda weights: Lost(weights, lr=0.1),
            scheduler=None, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize("train_weights", [True, False])
def test_data_that_stop_a_fine_tuning_stop_the_compression_before_the_search(train_weights, tmp_path):
    x = X.clone()
    x[-1] = float("nan")  # not in the first batch
    data = DataLoader(TensorDataset(x, X[:, :1]), batch_size=8)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(RunError, match=r"loss: expected a finite .* got nan.* inputs .* already not finite"):
        compress(
            model, data, DATA, loss=MEAN, budget=0.5, train_weights=train_weights, run_dir=tmp_path / "run",
            optimizer=lambda weights: torch.optim.SGD(weights, lr=1e-3), progress=False,
        )  # fmt: skip
    assert "scores" not in (tmp_path / "run" / "compression.jsonl").read_text()


class Endless(IterableDataset):
    """A dataset without a length."""

    def __iter__(self):
        return iter(DATA.dataset)


@pytest.mark.parametrize("name", ["train", "valid", "test"])
@pytest.mark.parametrize(
    ("loader", "match"),
    [
        (DataLoader(TensorDataset(X[:0], X[:0]), batch_size=8), "{}: expected at least one batch, got none"),
        (DataLoader(Endless(), batch_size=8), "{}: expected a loader with a length, got DataLoader"),
        ([], "{}: expected at least one batch, got none"),
        (iter(DATA), "{}: expected a loader .* got _SingleProcessDataLoaderIter. Wrap a dataset"),
    ],
    ids=["no item", "no length", "empty list", "iterator"],
)
def test_a_loader_without_batches_is_refused_by_its_name(name, loader, match):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    loaders = {"train": DATA, "valid": DATA, "test": DATA, name: loader}
    with pytest.raises(InputError, match=match.format(name)):
        compress(model, **loaders, loss=MEAN, budget=0.5, epochs=1, evaluations=4, progress=False)


@pytest.mark.parametrize(
    ("train", "match"),
    [
        (list(DATA), r"train: expected a dataset .* got list\. Give valid data of your own"),
        (
            DataLoader(DATA.dataset, sampler=WeightedRandomSampler([1.0] * 24, 24)),
            r"train: .*Give valid data of",
        ),
        (
            DataLoader(DATA.dataset, sampler=RandomSampler(X, replacement=True)),
            r"train: .*Then train is used",
        ),
        (DataLoader(Subset(DATA.dataset, [0])), r"train: expected items for both parts, got 1 in all"),
    ],
    ids=["list", "weighted", "replacement", "one"],
)
def test_data_that_cannot_be_divided_are_refused_by_the_names_of_the_arguments(train, match):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(InputError, match=match):
        compress(model, train, loss=MEAN, budget=0.5, progress=False)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_data_that_a_model_does_not_take_are_refused_by_their_name_before_anything_is_converted(name):
    """Else an error of torch would come half a minute later, without a word about which data."""
    others = DataLoader(TensorDataset(X[:, :5], X[:, :1]), batch_size=8)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    loaders = {"train": DATA, "valid": DATA, name: others}
    with pytest.raises(
        InputError, match=rf"{name}: expected data on which .*mse_loss.* got RuntimeError: mat1"
    ):
        compress(model, **loaders, loss=MEAN, budget=0.5, options={"only": "none"}, progress=False)


def test_functions_that_do_not_run_in_evaluation_are_refused_in_words():
    def penalised(forward, batch):
        x = batch[0].clone().requires_grad_()
        output = forward(x)
        [slopes] = torch.autograd.grad(output.sum(), x, create_graph=True)
        return nn.functional.mse_loss(output, batch[1]) + slopes.square().mean()

    def wrong(forward, batch):
        return forward(batch[0]).no_such_method()

    def stepping(forward, batch):
        value = MEAN(forward, batch)
        value.backward()
        return value

    class Reentrant(nn.Sequential):
        def forward(self, x):
            return self[2](checkpoint(self[1], self[0](x), use_reentrant=True))

    model = Reentrant(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(InputError, match=r"loss: .* torch\.utils\.checkpoint, .* use_reentrant=False"):
        compress(model, DATA, DATA, loss=MEAN, budget=0.5, progress=False)

    refused(
        r"valid: expected data on which .*penalised runs in evaluation mode, without grad", loss=penalised
    )
    refused(r"valid: expected data on which .*wrong runs .* AttributeError", maximize=wrong)
    refused(r"loss: expected one with a gradient .* Return the loss without calling backward", loss=stepping)


def test_a_model_without_weights_yet_is_refused():
    model = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(1))
    with pytest.raises(InputError, match=r"model: expected a trained one, .* such as 0.weight"):
        compress(model, DATA, DATA, loss=MEAN, budget=0.5, progress=False)


def test_a_model_is_compressed_where_the_caller_wants_no_gradients():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with torch.inference_mode():
        made = compress(model, DATA, DATA, loss=MEAN, budget=0.5, epochs=1, evaluations=4, progress=False)
    assert not any(weight.is_inference() for weight in made.child.parameters())


def test_a_wrong_option_is_told_once():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(InputError, match=r"skip: expected patterns") as caught:
        compress(model, DATA, DATA, loss=MEAN, budget=0.5, options={"skip": "none"}, progress=False)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("number", [1, -1, "0"])
def test_a_child_that_is_not_there_is_no_program(number, tmp_path):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    made = compress(model, DATA, DATA, loss=MEAN, budget=0.5, epochs=1, evaluations=4, progress=False)
    with pytest.raises(
        InputError, match=r"child: expected (the number of a child \(0: multiply|an integer >= 0)"
    ):
        made.save_onnx(tmp_path / "child.onnx", child=number)


@pytest.mark.parametrize("name", ["train_weights", "onnx", "resume", "overwrite", "progress"])
def test_a_switch_in_words_is_refused(name, tmp_path):
    refused(rf"{name}: expected True or False, got 'no'", run_dir=tmp_path / "run", **{name: "no"})
    refused(r"depth: expected True or False, got 'no'", options={"depth": "no"})
