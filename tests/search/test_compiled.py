"""Searches with compiled operations: when they begin, that they find the same, and what is said of it."""

import json
from functools import partial

import pytest
import torch
from problems import fit, layers, searcher, two_layers
from torch import nn
from torch._dynamo.testing import CompileCounter

from asng.errors import InputError
from asng.nn import Choice, Supernet
from asng.nn.compiling import _operations, compile_or_refuse
from asng.runs.events import Compiled
from asng.search import compiled
from asng.search.compiled import PLAIN, Compiling


@pytest.fixture
def counter(monkeypatch):
    """Counts what is compiled, and runs it as it is, in place of torch's compiler."""
    torch.compiler.reset()
    count = CompileCounter()
    monkeypatch.setattr(compiled, "compile_or_refuse", partial(compile_or_refuse, backend=count))
    return count


def without_dropout():
    torch.manual_seed(3)
    first = {"tanh": nn.Sequential(nn.Linear(3, 8), nn.Tanh()), "linear": nn.Linear(3, 8)}
    return Supernet(nn.Sequential(Choice(first, label="a"), nn.Linear(8, 1)))


def run_compiled(supernet):
    return any(one._compiled_call_impl is not None for one in _operations(supernet))


def test_operations_are_compiled_from_a_step_of_a_fixed_number_on(counter):
    supernet = two_layers()
    compiling = Compiling(supernet)
    for number, on in ((0, False), (PLAIN - 1, False), (PLAIN, True), (PLAIN + 9, True)):
        with compiling.step(number):
            assert run_compiled(supernet) is on
    resumed = Compiling(two_layers())
    with resumed.step(PLAIN + 5):
        assert run_compiled(resumed.supernet)


def test_a_search_finds_the_same_and_says_what_compiling_took(counter, tmp_path):
    result = fit(searcher(compile=True), run_dir=tmp_path)
    plain = fit(searcher())
    assert counter.frame_count > 0
    for name, value in plain.supernet.state_dict().items():
        assert torch.equal(result.supernet.state_dict()[name], value)
    assert plain.compiled is None
    assert result.compiled.operations == 2
    assert result.compiled.steps == result.steps - PLAIN
    assert result.compiled.seconds > 0.0
    assert result.compiled.plain_ms > 0.0
    assert not run_compiled(result.supernet)
    end = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert end["compiled"]["operations"] == 2


def test_what_has_nothing_to_compile_is_refused_before_the_first_step(counter):
    def loss(forward, batch):
        raise AssertionError("a pass was run")

    with pytest.raises(InputError, match="compile: expected parts of several layers"):
        fit(searcher(layers(), compile=True, loss=loss))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Compiled(3, 8.0, 0), "3 operations compiled in 8.0 s"),
        (
            Compiled(3, 8.0, 2000, 5.0, 6.5),
            "a training step takes 6.5 ms, 5 ms before: 3 s more over 2,000 steps",
        ),
    ],
)
def test_the_words_say_time_that_is_lost_as_well(told, words):
    assert words in str(told)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_by_torchs_compiler_a_search_ends_with_nearly_the_same_weights():
    torch.compiler.reset()  # without dropout, of which compiled code draws other numbers
    result, plain = fit(searcher(without_dropout(), compile=True)), fit(searcher(without_dropout()))
    assert result.compiled.compiled_ms > 0.0
    for name, value in plain.supernet.state_dict().items():
        torch.testing.assert_close(result.supernet.state_dict()[name], value, rtol=1e-3, atol=1e-4)
