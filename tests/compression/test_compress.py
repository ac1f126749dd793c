"""From a trained model to a budget: the children are plain, within, and the same whenever they are made."""

import copy
import json
import math

import pytest
import torch
from small_network import LOSS
from torch import nn
from torch.utils.data import DataLoader

import asng
from asng.compression import compress
from asng.compression.finals import best_rate
from asng.compression.journal import Journal
from asng.compression.tuning import Tuner
from asng.costs import multiply_adds, parameters
from asng.errors import InputError, RunError
from asng.runs.folder import COMPRESSION_LOG
from asng.space import Architecture
from asng.training import accuracy, recalibrate, score

QUICK = {"epochs": 1, "evaluations": 10, "finalists": 2, "progress": False}
ONE = (torch.zeros(1, 1, 8, 8),)


@pytest.fixture(scope="module")
def halved(trained, loaders):
    before = copy.deepcopy(trained.state_dict())
    made = compress(trained, *loaders, loss=LOSS, maximize=accuracy, budgets=[0.3, "parameters=60%"], **QUICK)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    return made


@pytest.fixture(scope="module")
def finished(trained, loaders, tmp_path_factory):
    """Return what a run has made, its arguments beside the loss, and its folder, which tests only read."""
    folder, arguments = tmp_path_factory.mktemp("finished"), {"maximize": accuracy, "budget": 0.5, **QUICK}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asng.compression.stored.save_onnx", lambda *_: None)
        return compress(trained, *loaders, loss=LOSS, run_dir=folder, **arguments), arguments, folder


def test_children_are_within_their_budgets(trained, halved):
    small, other = halved.children
    assert multiply_adds(small.network, ONE) <= 0.3 * multiply_adds(trained, ONE)
    assert parameters(other.network) <= 0.6 * parameters(trained)
    assert small.costs["multiply_adds"] == multiply_adds(small.network, ONE)


def test_a_compression_is_a_table_in_words_in_html_and_as_a_dataframe(halved):
    frame = halved.dataframe()
    assert list(frame["network"]) == ["model", *(child.goal.name for child in halved.children)]
    assert list(frame["parameters"])[1:] == [child.costs["parameters"] for child in halved.children]
    assert len(halved.dataframe("frontier")) == len(halved.frontier.scored)
    assert len(repr(halved)) < 300
    for row in str(halved).splitlines()[1:]:
        assert f"<td>{row.split('  ')[0]}</td>" in halved._repr_html_()


def test_children_are_plain_networks_of_the_same_class_that_are_narrower(trained, halved):
    for child in halved.children:
        assert type(child.network) is type(trained)
        assert not child.network.training
        assert not any(type(m).__module__.startswith("asng") for m in child.network.modules())
        assert [type(m) for m in child.network.modules()] == [type(m) for m in trained.modules()]


def test_the_scores_that_are_told_are_those_of_the_networks(trained, halved, loaders):
    assert halved.model.score == score(trained, loaders[1], accuracy)
    for child in halved.children:
        assert child.score == score(child.network, loaders[1], accuracy)
        assert child.score > 0.3  # of four classes; the model has more
    assert halved.higher_is_better
    assert halved.metric == "accuracy"


def test_the_search_scored_as_many_as_it_was_told_all_within_some_budget(halved):
    scored = halved.frontier.scored
    assert 10 <= len(scored) <= 18 + 12
    assert len({one.architecture for one in scored}) == len(scored)
    assert all(min(goal.excess(one.costs) for goal in halved.frontier.goals) == 0.0 for one in scored)


def test_finalists_are_the_best_after_a_few_steps_and_the_even_network_had_its_chance(
    trained, loaders, tmp_path
):
    made = compress(trained, *loaders, loss=LOSS, budgets=[0.3, 0.6], run_dir=tmp_path, **QUICK)
    rows = map(json.loads, (tmp_path / COMPRESSION_LOG).read_text().splitlines())
    answers = {row["question"]: row["answer"] for row in rows}
    for start, child in zip(answers["starts"], made.children, strict=True):
        tried = [dict(one.architecture) for one in sorted(child.tried, key=lambda one: one.loss)]
        assert start in tried
        assert tried[0] in answers[f"finalists, {child.goal.name}"]
        assert dict(child.architecture) in tried


def test_batch_norms_of_a_child_have_the_averages_of_its_own_weights(trained, loaders, halved):
    """In a few steps moving averages do not come along: these children had twelve."""
    for child in halved.children:
        again = recalibrate(copy.deepcopy(child.network), loaders[0], loss=LOSS)
        for name, value in child.network.state_dict().items():
            assert torch.allclose(value, again.state_dict()[name], rtol=0.02, atol=0.02), name


def test_one_child_is_asked_for_by_name_of_several_not(halved):
    with pytest.raises(InputError, match=r"multiply_adds-0\.3, parameters-60%"):
        _ = halved.child


def test_the_table_has_shares(halved):
    words = str(halved)
    assert "multiply_adds-0.3" in words
    assert f"({halved.children[0].costs['multiply_adds'] / halved.model.costs['multiply_adds']:.0%})" in words


def test_the_same_seed_makes_the_same_child_to_the_bit(trained, loaders):
    """Without training of shared weights; with it the test below has two that are the same."""

    def child():
        made = compress(trained, *loaders, loss=LOSS, budget=0.5, train_weights=False, **QUICK)
        return made.children[0]

    first, second = child(), child()
    assert first.architecture == second.architecture
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


class Stopped(Exception):
    pass


def test_a_run_that_was_stopped_goes_on_to_the_same_child(trained, loaders, finished, tmp_path):
    whole, arguments, folder = finished
    left = 0  # passes until it is stopped

    def stopping(forward, batch):
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped
        return LOSS(forward, batch)

    stopping.__qualname__ = LOSS.__qualname__
    stopping.__module__ = LOSS.__module__
    for part, passes in enumerate((13, 35)):
        left = passes
        with pytest.raises(Stopped):
            compress(trained, *loaders, loss=stopping, run_dir=tmp_path / "run", resume=part > 0, **arguments)
    again = compress(trained, *loaders, loss=LOSS, run_dir=tmp_path / "run", resume=True, **arguments)
    assert again.children[0].architecture == whole.children[0].architecture
    assert again.children[0].score == whole.children[0].score
    for name, value in again.child.state_dict().items():
        assert torch.equal(value, whole.child.state_dict()[name])
    assert (tmp_path / "run" / COMPRESSION_LOG).read_text() == (folder / COMPRESSION_LOG).read_text()


def test_a_run_goes_on_to_the_same_child_if_the_loader_has_a_generator_of_its_own(trained, loaders, tmp_path):
    """Batches that are drawn in parts which the second run leaves out must not move on its generator."""
    steps, child = 0, []

    def stopping(forward, batch):
        nonlocal steps
        steps += torch.is_grad_enabled()
        if steps == limit:
            raise Stopped
        return LOSS(forward, batch)

    stopping.__qualname__, stopping.__module__ = LOSS.__qualname__, LOSS.__module__
    arguments = {"loss": stopping, "budget": 0.5, "train_weights": False, **QUICK, "evaluations": 5}
    for folder, limits in (("whole", [-1]), ("run", [90, -1])):
        for part, limit in enumerate(limits):
            steps, draws = 0, torch.Generator().manual_seed(3)
            train = DataLoader(loaders[0].dataset, batch_size=32, shuffle=True, generator=draws)
            try:
                made = compress(
                    trained, train, loaders[1], run_dir=tmp_path / folder, resume=part > 0, **arguments
                )
            except Stopped:
                assert limit == 90
        child.append(made.child.state_dict())
    assert all(torch.equal(value, child[1][name]) for name, value in child[0].items())


def test_a_finished_run_is_read_and_nothing_is_done_again(trained, loaders, finished):
    first, arguments, folder = finished
    calls = 0

    def counting(forward, batch):
        nonlocal calls
        calls += torch.is_grad_enabled()
        return LOSS(forward, batch)

    counting.__qualname__, counting.__module__ = LOSS.__qualname__, LOSS.__module__
    second = compress(trained, *loaders, loss=counting, run_dir=folder, resume=True, **arguments)
    assert calls <= 2 + 1 + 8  # what the model is called with, the loss's gradient, and which channels matter
    assert second.children[0].score == first.children[0].score


def test_other_settings_are_no_resume_and_a_folder_with_a_run_is_left_alone(trained, loaders, finished):
    _, arguments, folder = finished
    arguments = {"run_dir": folder, **arguments}
    before = (folder / COMPRESSION_LOG).read_bytes()
    with pytest.raises(RunError, match="already contains a run"):
        compress(trained, *loaders, loss=LOSS, **arguments)
    with pytest.raises(RunError, match="goals"):
        compress(trained, *loaders, loss=LOSS, resume=True, **{**arguments, "budget": 0.4})
    other = copy.deepcopy(trained)
    with torch.no_grad():
        other[0].weight.mul_(2)
    with pytest.raises(RunError, match="model"):
        compress(other, *loaders, loss=LOSS, resume=True, **arguments)
    assert (folder / COMPRESSION_LOG).read_bytes() == before


def test_without_validation_data_a_part_is_held_apart_and_it_is_said(trained, loaders):
    with pytest.warns(UserWarning, match="the model was trained on"):
        made = compress(trained, loaders[0], loss=LOSS, budget=0.5, **{**QUICK, "progress": True})
    assert "They favour the model" in made.notes[0]


def test_test_data_choose_nothing_and_are_what_scores_are_told_of(trained, loaders, finished):
    plain, arguments, _ = finished
    test = DataLoader(loaders[1].dataset, batch_size=7)
    tested = compress(trained, *loaders, loss=LOSS, test=test, **arguments)
    assert tested.children[0].architecture == plain.children[0].architecture
    assert tested.children[0].score == pytest.approx(plain.children[0].score)


# --- bad input, before anything is trained --------------------------------------------------------------


def refused(words, model, loaders, error=InputError, **arguments):
    trainings = 0

    def loss(forward, batch):
        nonlocal trainings
        value = LOSS(forward, batch)
        trainings += 1
        return value

    with pytest.raises(error, match=words):
        compress(model, *loaders, loss=loss, **{"budget": 0.5, **QUICK, **arguments})
    # What the model is called with, whether the loss has a gradient and runs on validation data, which
    # channels matter, and whether the loss can be called in evaluation.
    assert trainings <= 2 + 1 + 1 + 8 + 1


def test_a_budget_below_the_smallest_child(trained, loaders):
    refused("a budget that the smallest child meets.*multiply_adds", trained, loaders, budget=0.001)


def test_a_share_above_one(trained, loaders):
    refused("share", trained, loaders, budget=1.2)


def test_no_width_that_can_be_narrowed(loaders):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    refused("a width that can be narrowed", model, loaders)


def test_data_of_another_shape(trained, loaders):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    refused("to run on a first batch in evaluation mode, got RuntimeError.*have 3 channels", model, loaders)


def test_no_model_and_impossible_numbers(trained, loaders):
    refused("a plain torch.nn.Module, got str", "model", loaders)
    refused("epochs: expected", trained, loaders, epochs=0)
    refused("teaching: expected", trained, loaders, teaching=2.0)
    refused("at most one of them", trained, loaders, minimize=LOSS, maximize=accuracy)
    refused("options: .*'onyl'.*only", trained, loaders, options={"onyl": "0"})
    refused("train: expected a loader.*TensorDataset", trained, [loaders[0].dataset])
    refused("a plain torch.nn.Module", asng.nn.searchable(trained, torch.zeros(2, 1, 8, 8)), loaders)
    with pytest.raises(InputError, match=r"asng.supervised\(criterion\)"):
        compress(trained, *loaders, loss=nn.CrossEntropyLoss(), budget=0.5)


def test_several_budgets_hold_together(trained, loaders):
    made = compress(trained, *loaders, loss=LOSS, budget=[0.6, "parameters=0.4"], **QUICK)
    [child] = made.children
    assert child.costs["multiply_adds"] <= 0.6 * made.model.costs["multiply_adds"]
    assert child.costs["parameters"] <= 0.4 * made.model.costs["parameters"]


def test_a_function_of_the_users_is_a_budget(trained, loaders):
    def widest(child, inputs):
        return float(max(m.out_channels for m in child.modules() if isinstance(m, nn.Conv2d)))

    made = compress(trained, *loaders, loss=LOSS, budget=asng.Budget(widest, limit=9.0), **QUICK)
    assert widest(made.child, ONE) <= 9.0


# --- the folder, its report, the command ----------------------------------------------------------------


def test_programs_can_be_left_out(trained, loaders, tmp_path):
    compress(trained, *loaders, loss=LOSS, budget=0.5, run_dir=tmp_path, onnx=False, **QUICK)
    (told,) = json.loads((tmp_path / "compression.json").read_text())["children"]
    assert told["files"] == ["child.pt"]
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_folder_has_the_children_their_programs_and_a_report(trained, loaders, tmp_path, programs):
    made = compress(
        trained, *loaders, loss=LOSS, maximize=accuracy, budgets=[0.3, 0.6], run_dir=tmp_path, **QUICK
    )
    stored = json.loads((tmp_path / "compression.json").read_text())
    assert stored["model"]["score"] == made.model.score
    for child, told in zip(made.children, stored["children"], strict=True):
        assert told["goal"] == child.goal.name
        assert told["widths"]["0"] == [child.network[0].out_channels, 16]
        assert told["files"] == ["child.pt", "child.onnx"]
        assert all((tmp_path / child.goal.name / name).stat().st_size for name in told["files"])
        weights = torch.load(tmp_path / child.goal.name / "child.pt", weights_only=True)["state_dict"]
        assert all(torch.equal(value, weights[name]) for name, value in child.network.state_dict().items())
    page = made.report().read_text()
    for words in ("multiply_adds-0.3", "Layers of the child", "The front", "16", "before fine-tuning"):
        assert words in page
    assert page.count("<svg") == 3
    differing, others = page.split("Settings that differ from the defaults")[1].split("Other settings")
    assert "(default: " in differing.split("epochs")[1]
    assert others.index("budgets") < others.index("teaching")


def test_report_and_pictures_of_a_run_that_is_not_finished(trained, loaders, tmp_path):
    from asng.compression.report import COMPRESSION
    from asng.report import summary_table, write_report

    (tmp_path / COMPRESSION_LOG).write_text('{"question": "settings", "answer": {}}\n')
    assert "No child is finished yet" in write_report(tmp_path, kinds=[COMPRESSION]).read_text()
    assert str(summary_table(tmp_path, kinds=[COMPRESSION]).caption) == "No child is finished yet."


# --- the learning rate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("best", [-12, -7, -2, 0, 3, 7, 12])
def test_the_rate_of_least_loss_is_found_within_bounds(best):
    asked = []

    def loss(rate):
        asked.append(rate)
        return abs(math.log2(rate / 1e-3) - best)

    assert best_rate(loss) == 1e-3 * 2.0 ** max(-7, min(7, best))
    assert len(set(asked)) == len(asked) <= 10


def test_a_rate_is_found_for_each_child(trained, loaders):
    made = compress(trained, *loaders, loss=LOSS, budgets=[0.3, 0.9], train_weights=False, **QUICK)
    small, large = (child.learning_rate for child in made.children)
    assert 1e-3 < small <= 1e-3 * 2.0**7  # a network that lost most of its channels has far to go
    assert large <= small


def test_steps_that_go_astray_are_the_worst_and_other_faults_are_told(trained, loaders):
    supernet = asng.nn.searchable(trained, torch.randn(3, 1, 8, 8))
    whole = Architecture({name: variable.uniform(1.0 - 1e-9) for name, variable in supernet.space.items()})
    arguments = {"objective": accuracy, "scheduler": None, "clip": None, "items": None, "seed": 0}
    calls = [asng.nn.Inputs((torch.randn(3, 1, 8, 8),))]

    def astray(forward, batch):
        return LOSS(forward, batch) * (math.nan if torch.is_grad_enabled() else 1.0)

    tuner = Tuner(supernet, calls, *loaders, 1, loss=astray, progress=False, **arguments)
    assert tuner.after_steps(whole, asng.training.adamw) == (math.inf, math.inf)

    def faulty(forward, batch):
        raise RunError("a worker died")

    tuner = Tuner(supernet, calls, *loaders, 1, loss=faulty, progress=False, **arguments)
    with pytest.raises(RunError, match="a worker died"):
        tuner.after_steps(whole, asng.training.adamw)


def test_with_an_optimiser_of_ones_own_no_rate_is_looked_for(trained, loaders):
    made = compress(
        trained, *loaders, loss=LOSS, budget=0.5, train_weights=False, optimizer=asng.training.adamw, **QUICK
    )
    assert made.children[0].learning_rate is None


def test_an_answer_of_another_type_is_told_and_no_number_is_read_as_one(tmp_path):
    journal = Journal(tmp_path, {"a": 1}, resume=False, overwrite=True)
    assert math.isnan(journal.number("before, half", lambda: math.nan))
    journal.close()
    journal = Journal(tmp_path, {"a": 1}, resume=True, overwrite=False)
    assert math.isnan(journal.number("before, half", lambda: 1.0))
    with pytest.raises(RunError, match=r"compression.jsonl, 'settings': expected `bool`, got `object`"):
        journal.answer("settings", lambda: True, bool)
    journal.close()
    with (tmp_path / COMPRESSION_LOG).open("a") as file:
        file.write('{"question": {}}\n')
    with pytest.raises(RunError, match=r"compression.jsonl: expected `str`, got `object`"):
        Journal(tmp_path, {"a": 1}, resume=True, overwrite=False)
