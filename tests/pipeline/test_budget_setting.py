"""Budgets as settings: on the command line, in YAML and in config.yaml."""

import json

import pytest
from small_tasks import SMALL, small_cells

from asng.cli.parsing import NearestNames
from asng.costs import Budget
from asng.errors import InputError
from asng.pipeline import SearchSettings, run_task
from asng.runs.folder import read_config
from asng.tasks.classification import classification


def parsed(*words):
    parser = NearestNames(exit_on_error=False)
    parser.add_settings(SearchSettings)
    parser.add_argument("--config", action="config")
    return parser.parse_args(words).budget


@pytest.mark.parametrize(
    "words",
    [
        ["--budget.multiply_adds", "50%", "--budget.latency=0.002"],
        ["--budget", "{multiply_adds: 50%, latency: 0.002}"],
        ["--config", "{budget: {multiply_adds: 50%, latency: 2.0e-3}}"],
    ],
)
def test_budgets_are_given_by_flags_and_in_yaml(words):
    budgets = SearchSettings(budget=parsed(*words)).budgets()
    assert budgets == (Budget("multiply_adds", share=0.5), Budget("latency", limit=0.002))


def test_without_a_setting_there_is_no_budget():
    assert SearchSettings(budget=parsed()).budgets() == ()


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"multiply-adds": "50%"}, "budget: expected one of .* Did you mean 'multiply_adds'"),
        ({"latency": "150%"}, "budget latency: expected a number, or a share such as 50%, got '150%'. share"),
        ({"latency": "fast"}, "budget latency: expected a number, or a share such as 50%, got 'fast'"),
        ("latency", "budget: expected limits by name of measure, got 'latency'"),
    ],
)
def test_a_wrong_budget_is_named_where_the_settings_are_made(budget, message):
    with pytest.raises(InputError, match=message):
        SearchSettings(budget=budget)


def test_a_run_keeps_its_budget_and_writes_it_down(tmp_path):
    settings = SearchSettings(epochs=1, retrain_epochs=0, peers=0, device="cpu", budget={"parameters": "60%"})
    folder = run_task(classification(small_cells(tmp_path)), settings, tmp_path / "run", progress=False)
    assert read_config(folder)["search"]["budget"] == {"parameters": "60%"}
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    [limit] = events[0]["costs"]
    assert limit["limit"] == 0.6 * limit["whole"]
    assert events[-1]["cost"]["parameters"] <= limit["limit"]


def test_a_run_under_a_budget_below_the_smallest_leaves_no_log(tmp_path):
    settings = SearchSettings(**{**vars(SMALL), "budget": {"parameters": 1}})
    with pytest.raises(InputError, match=r"within the budget \(parameters <= 1\), got none among"):
        run_task(classification(small_cells(tmp_path)), settings, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "log.jsonl").exists()
