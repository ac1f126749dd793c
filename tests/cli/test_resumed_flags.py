"""A resumed run keeps its settings, and says so of every flag that asks for others."""

import pytest
from command_lines import fails, told
from user_package import DATA, NET, QUICK

from asng.cli import main

ELU = ["--model.act", "torch.nn.ELU", "--model.act.alpha", "2"]
SEARCH = [*NET, *ELU, *DATA, "--maximize", "accuracy", *QUICK, "--run-dir", "kept"]
TOY = ["--variables", "3", "--iterations", "5", "--exponents", "[0, 0.5]", "--seeds", "2"]
TOY += ["--run-dir", "kept_toy"]
"""A flag of two words, lists, and seeds that are counted."""

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture(scope="module", autouse=True)
def runs(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(["search", *SEARCH, "--quiet"]) == 0
        assert main(["toy", *TOY, "--quiet"]) == 0


@pytest.mark.parametrize(
    ("other", "flag", "has", "got"),
    [
        (["--epochs", "70"], "--epochs", "expected 2,", "got 70."),
        (["--retrain-epochs=70"], "--retrain-epochs", "expected 1,", "got 70."),
        (["--model.width", "9"], "--model.width", "expected 4,", "got 9."),
        (["--data.batch_size", "9"], "--data.batch_size", "expected 8,", "got 9."),
        (["--model.act.alpha", "3"], "--model.act.alpha", "expected 2.0,", "got 3.0."),
        (["--seed", "3"], "--seed", "expected 0,", "got 3."),
        (["--seeds", "3"], "--seeds", "expected 1,", "got 3."),
        (["--loss", "nll_loss"], "--loss", "expected 'torch.nn.functional.cross_entropy',", "'nll_loss'."),
        (["--config", "{epochs: 71}"], "--epochs", "expected 2,", "got 71."),
    ],
)
def test_a_setting_that_a_resumed_search_would_not_follow_is_refused(other, flag, has, got, capsys):
    error = fails(["search", *SEARCH, *other, "--resume", "--quiet"], capsys)
    assert error.startswith(f"asng search: {flag}: {has}")
    assert got in error
    assert f"leave {flag} out" in error


def test_the_same_words_again_are_taken(capsys):
    told(["search", *SEARCH, "--loss", "cross_entropy", "--resume", "--trust", "torch.nn.ELU"], capsys)
    told(["toy", *TOY, "--resume", "--workers", "1", "--quiet"], capsys)


def test_a_list_of_the_toy_problem_is_compared_as_a_whole(capsys):
    error = fails(["toy", *TOY, "--exponents", "[0]", "--resume", "--quiet"], capsys)
    assert error.startswith("asng toy: --exponents: expected [0.0, 0.5], with which the run in")
