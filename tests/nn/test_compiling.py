"""Operations that torch compiles: the same networks; copies, and what cannot be compiled, run as they are."""

import copy

import pytest
import torch
from problems import fit, searcher
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.overrides import TorchFunctionMode

from asng.errors import InputError
from asng.nn import Choice, Supernet, compile_operations, compiling
from asng.nn.compiling import release_operations
from asng.supernets import EnasCellNetwork


def two():
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 1))
    return Supernet(Choice({"wide": wide, "plain": nn.Linear(3, 1)}, label="op"))


@pytest.fixture
def compiled(monkeypatch):
    """What torch is given to compile; it runs as it is, and notes its calls."""
    ran = []

    def stands_in(function, **settings):
        def run(*inputs, **words):
            ran.append(function)
            return function(*inputs, **words)

        return run

    monkeypatch.setattr(torch, "compile", stands_in)
    monkeypatch.setattr(compiling, "_can_compile", lambda: True)
    return ran


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_by_torch_passes_and_gradients_are_the_same_within_rounding():
    supernet, other = two(), two()
    if compile_operations(other) == 0:
        pytest.skip("no compiler")
    x = torch.randn(5, 3)
    for one in (supernet, other):
        one(x, architecture={"op": "wide"}).sum().backward()
    for mine, its in zip(supernet.parameters(), other.parameters(), strict=True):
        assert (mine.grad is None) == (its.grad is None)
        if mine.grad is not None:
            torch.testing.assert_close(its.grad, mine.grad)


def test_what_has_several_layers_and_no_choices_is_compiled(compiled):
    supernet = two()
    names = list(supernet.state_dict())
    assert compile_operations(supernet) == 1
    assert list(supernet.state_dict()) == names
    supernet(torch.ones(1, 3), architecture={"op": "plain"})
    assert compiled == []
    supernet(torch.ones(1, 3), architecture={"op": "wide"})
    assert len(compiled) == 1
    assert compile_operations(supernet) == 0  # is already


def test_all_separable_convolutions_of_cells_are(compiled):
    model = EnasCellNetwork(in_channels=1, classes=2, image_size=8, cells=3, nodes=2, channels=4)
    supernet = Supernet(model)
    compile_operations(supernet)
    edges = [options for options in model.modules() if isinstance(options, nn.ModuleDict)]
    convolutions = [options[name] for options in edges for name in options if name.startswith("sep_conv")]
    assert convolutions
    assert all(one._compiled_call_impl is not None for one in convolutions)


def test_children_and_copies_run_uncompiled(compiled):
    supernet = two()
    compile_operations(supernet)
    x = torch.randn(4, 3)
    expected = supernet(x, architecture={"op": "wide"})
    ran = len(compiled)
    child = supernet.extract({"op": "wide"})
    assert torch.equal(child(x), expected)
    assert torch.equal(copy.deepcopy(supernet)(x, architecture={"op": "wide"}), expected)
    assert len(compiled) == ran


def test_a_search_runs_with_compiled_operations(compiled):
    supernet = two()
    compile_operations(supernet)
    result = fit(searcher(supernet), epochs=2)
    plain = fit(searcher(two()), epochs=2)
    assert compiled
    assert result.architecture == plain.architecture


class Doubled(TorchFunctionMode):
    """Doubles what a linear layer gives."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        return 2.0 * output if func is nn.functional.linear else output


def test_a_mode_that_changes_what_functions_do_holds_in_operations_too(compiled):
    supernet, x = two(), torch.randn(4, 3)
    compile_operations(supernet)
    with Doubled():
        expected = two()(x, architecture={"op": "wide"})
        assert torch.equal(supernet(x, architecture={"op": "wide"}), expected)
    assert compiled == []


def test_what_torch_cannot_compile_runs_as_it_is(monkeypatch):
    tried = []

    def fails(function, **settings):
        def run(*inputs):
            tried.append(inputs)
            raise torch._dynamo.exc.Unsupported("no")

        return run

    monkeypatch.setattr(compiling, "_can_compile", lambda: True)
    monkeypatch.setattr(torch, "compile", fails)
    supernet, x = two(), torch.randn(4, 3)
    expected = supernet(x, architecture={"op": "wide"})
    assert compile_operations(supernet) == 1
    for _ in range(2):
        assert torch.equal(supernet(x, architecture={"op": "wide"}), expected)
    assert len(tried) == 1
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        supernet(torch.randn(4, 2), architecture={"op": "wide"})


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    def fails(function, **settings):
        raise RuntimeError("no working C++ compiler")

    monkeypatch.setattr(torch, "compile", fails)
    compiling._can_compile.cache_clear()
    supernet = two()
    assert compile_operations(supernet) == 0
    compiling._can_compile.cache_clear()
    assert supernet(torch.ones(1, 3), architecture={"op": "wide"}).shape == (1, 1)


def test_operations_are_compiled_once_for_all_architectures_and_released():
    torch.compiler.reset()
    supernet, count = (
        Supernet(nn.Sequential(two().model, Choice([nn.Tanh(), nn.ReLU()], label="a"))),
        CompileCounter(),
    )
    supernet.compile(backend=count)
    x = torch.randn(4, 3)
    for op in ("wide", "plain", "wide"):
        for a in (0, 1):
            supernet(x, architecture={"op": op, "a": a})
    assert count.frame_count == 1
    release_operations(supernet)
    torch.compiler.reset()
    supernet(x, architecture={"op": "wide", "a": 0})
    assert count.frame_count == 1


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_a_supernet_compiled_as_a_whole_is_refused_in_words(whole):
    torch.compiler.reset()
    supernet = two()
    compiled = torch.compile(supernet, backend="eager", fullgraph=whole)
    error = torch._dynamo.exc.Unsupported if whole else InputError
    with pytest.raises(error, match=r"Call supernet\.compile\(\)"):
        compiled(torch.ones(4, 3), architecture={"op": "wide"})
    assert supernet(torch.ones(4, 3), architecture={"op": "wide"}).shape == (4, 1)


def test_a_supernet_without_operations_to_compile_says_so():
    supernet = Supernet(Choice([nn.Linear(2, 2), nn.Tanh()], label="op"))
    with pytest.raises(InputError, match="compile: expected parts of several layers"):
        supernet.compile(backend="eager")


def test_without_a_compiler_a_supernet_says_so(monkeypatch):
    monkeypatch.setattr(compiling, "_can_compile", lambda: False)
    with pytest.raises(InputError, match="compile: expected a compiler"):
        two().compile()
