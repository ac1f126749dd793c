"""The contract of searchable layers, and the additional contract of twins of torch layers."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from asng.nn import Searchable, Supernet
from asng.nn.extraction.recording import seed_torch
from asng.space import Architecture, Value
from asng.testing.claims import equal, true, try_all
from asng.training.data.nested import tensors_in

__all__ = ["LAYER_CLAIMS", "TWIN_CLAIMS", "LayerCase", "check_layer"]

_COUNT = 8
"""Number of architectures tried for each claim, sampled with seed 0."""


@dataclass(frozen=True)
class LayerCase:
    """A searchable layer to check, with inputs for it.

    Args:
        model: The layer, or a model of your own that contains the layer.
        inputs: Tuples of inputs for the model; of several widths, if it accepts them.
        largest: For the twin of a torch layer: that torch layer, with the largest sizes.
        path: Path of the twin in the model. Default: the twin is the model.
        values: Largest values of variables for which it is neither `high` nor the last choice.

    Example:
        >>> from asng import Integer, nn as snn
        >>> layer = snn.Linear(4, Integer(1, 6, label="out"))
        >>> case = LayerCase(layer, [(torch.ones(2, 4),), (torch.ones(2, 3),)], largest=nn.Linear(4, 6))
    """

    model: nn.Module
    inputs: Sequence[tuple[Any, ...]]
    largest: nn.Module | None = None
    path: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)


MakeCase = Callable[[], LayerCase]
"""Makes a fresh case, because claims change what they are given."""


def check_layer(make: MakeCase) -> None:
    """Check a searchable layer against `LAYER_CLAIMS`, and a twin of a torch layer against `TWIN_CLAIMS` too.

    Args:
        make: A function without arguments that makes a fresh case on each call.

    Raises:
        AssertionError: With a line for each claim that fails.

    Example:
        >>> from asng.nn import Activation
        >>> check_layer(lambda: LayerCase(Activation(["ReLU", "Tanh"]), [(torch.randn(2, 3),)]))
    """
    claims = LAYER_CLAIMS if _made(make)[0].largest is None else (*LAYER_CLAIMS, *TWIN_CLAIMS)
    try_all(claims, make)


def the_child_computes_the_same_to_the_last_bit(make: MakeCase) -> None:
    """This holds in eval mode, with and without gradients, for every architecture and input."""
    case, supernet = _made(make)
    for a, inputs in _settings(case, supernet):
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                child = supernet.extract(a, example=inputs)
                _same(f"the child of {dict(a)}", child(*inputs), supernet(*inputs, architecture=a))


def the_child_computes_the_same_in_training(make: MakeCase) -> None:
    """This holds to the last bit with the same random numbers, whichever mode the child was extracted in."""
    case, supernet = _made(make)
    for training, (a, inputs) in zip((True, False), _settings(case, supernet, count=2), strict=False):
        supernet.train(training)
        child = supernet.extract(a, example=inputs).train()
        supernet.train()
        outputs = []
        for run in (child, partial(supernet, architecture=a)):
            with torch.random.fork_rng(devices=[]):
                seed_torch(1)
                outputs.append(run(*inputs))
        _same(f"the child of {dict(a)} in training mode", *outputs)


def the_child_holds_nothing_of_asng(make: MakeCase) -> None:
    """It has neither modules nor attributes of asng, so that it runs without asng installed."""
    case, supernet = _made(make)
    for a, inputs in _settings(case, supernet, count=3):
        for path, module in supernet.extract(a, example=inputs).named_modules():
            of_ours = type(module).__module__.partition(".")[0] == "asng" or isinstance(module, Searchable)
            true(f"child module {path!r}", not of_ours, expected="plain torch", got=type(module).__name__)
            marks = [name for name in vars(module) if name.startswith("search_")]
            equal(f"marks of the search on child module {path!r}", marks, [])


def the_child_is_independent_of_the_supernet(make: MakeCase) -> None:
    """Its weights are copies, and it has its own training mode."""
    case, supernet = _made(make)
    a, inputs = next(_settings(case, supernet))
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    child = supernet.extract(a, example=inputs)
    with torch.no_grad():
        for parameter in child.parameters():
            parameter.add_(1)
    child.train()
    changed = [name for name, t in supernet.state_dict().items() if not torch.equal(t, before[name])]
    equal("weights of the supernet that a change of the child's changed", changed, [])
    training = [path for path, module in supernet.named_modules() if module.training]
    equal("modules of the supernet that child.train() has in training", training, [])


def extraction_draws_no_random_number(make: MakeCase) -> None:
    """Thus looking at a child does not change a search."""
    case, supernet = _made(make)
    a, inputs = next(_settings(case, supernet))
    state = torch.random.get_rng_state()
    supernet.extract(a, example=inputs)
    same = torch.equal(torch.random.get_rng_state(), state)
    true("torch's generator after extract", same, expected="as before", got="another state")


def a_pass_reads_variables_of_the_space_and_some(make: MakeCase) -> None:
    """The search learns from the variables that a pass reads."""
    case, supernet = _made(make)
    for a, inputs in _settings(case, supernet):
        supernet(*inputs, architecture=a)
        read = supernet.active
        true("variables read", read and read <= set(supernet.space), expected=list(supernet.space), got=read)


def variables_not_read_do_not_matter(make: MakeCase) -> None:
    """The output stays the same if variables that a pass did not read get other values."""
    case, supernet = _made(make)
    rng = Random(1)
    for a, inputs in _settings(case, supernet):
        y = supernet(*inputs, architecture=a)
        read, other = supernet.active, supernet.space.sample(rng)
        mixed = {name: a[name] if name in read else other[name] for name in supernet.space}
        _same(
            f"the output of {mixed}, of which {sorted(read)} were read",
            supernet(*inputs, architecture=mixed),
            y,
        )


def a_deep_copy_computes_the_same(make: MakeCase) -> None:
    """It also has the same space."""
    case, supernet = _made(make)
    a, inputs = next(_settings(case, supernet))
    twin = copy.deepcopy(supernet)
    equal("the space of a deep copy", twin.space, supernet.space)
    _same("a deep copy", twin(*inputs, architecture=a), supernet(*inputs, architecture=a))


def the_weights_of_the_child_are_those_used_and_no_others(make: MakeCase) -> None:
    """Each occurs once, and the supernet computes the same if all other weights are NaN."""
    case, supernet = _made(make)
    sizes = [p.numel() for p in supernet.parameters()]
    with torch.no_grad():
        values = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(0))
        parts = torch.split(values / 1e4, sizes)
        for p, part in zip(supernet.parameters(), parts, strict=True):
            p.copy_(part.view_as(p))
    for a, inputs in _settings(case, supernet, count=3):
        child = supernet.extract(a, example=inputs)
        used = torch.cat([p.detach().flatten() for p in child.parameters()] or [torch.empty(0)])
        equal("weights of the child that stand there twice", len(used) - len(set(used.tolist())), 0)
        spoiled = copy.deepcopy(supernet)
        with torch.no_grad():
            for p in spoiled.parameters():
                p.masked_fill_(~torch.isin(p, used), float("nan"))
        y = spoiled(*inputs, architecture=a)
        _same(f"the output of {dict(a)} where all weights are NaN that the child lacks", y, child(*inputs))


def double_precision_comes_over(make: MakeCase) -> None:
    """The weights and results of the child are in double precision too."""
    case, supernet = _made(make)
    a, inputs = next(_settings(case, supernet))
    supernet.double()
    inputs = tuple(x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)
    child = supernet.extract(a, example=inputs)
    kinds = {p.dtype for p in child.parameters()} - {torch.float64}
    equal("types of the weights beside float64", kinds, set())
    _same("the child in double precision", child(*inputs), supernet(*inputs, architecture=a))


def frozen_weights_and_modes_come_over(make: MakeCase) -> None:
    """Frozen weights stay frozen, and modules in training mode stay in it."""
    case, supernet = _made(make)
    a, inputs = next(_settings(case, supernet))
    supernet.requires_grad_(False).train()
    child = supernet.extract(a, example=inputs)
    equal("weights not frozen", [name for name, p in child.named_parameters() if p.requires_grad], [])
    equal("modules not in training", [path for path, m in child.named_modules() if not m.training], [])


LAYER_CLAIMS: tuple[Callable[[MakeCase], None], ...] = (
    the_child_computes_the_same_to_the_last_bit,
    the_child_computes_the_same_in_training,
    the_child_holds_nothing_of_asng,
    the_child_is_independent_of_the_supernet,
    extraction_draws_no_random_number,
    a_pass_reads_variables_of_the_space_and_some,
    variables_not_read_do_not_matter,
    a_deep_copy_computes_the_same,
    the_weights_of_the_child_are_those_used_and_no_others,
    double_precision_comes_over,
    frozen_weights_and_modes_come_over,
)
"""The claims for every searchable layer; each takes a function that makes a `LayerCase`."""


def the_child_is_the_plain_layer_of_torch(make: MakeCase) -> None:
    """The class of the child is exactly that of the torch layer."""
    case, supernet = _made(make)
    for a, inputs in _settings(case, supernet, count=3):
        child = supernet.extract(a, example=inputs).get_submodule(case.path)
        equal("class of the child", type(child), type(case.largest))


def gradients_reach_the_parts_that_are_used(make: MakeCase) -> None:
    """Their gradients sum to the same as those of the child's weights."""
    case, supernet = _made(make)
    for a, inputs in _settings(case, supernet, count=3):
        child = supernet.extract(a, example=inputs)
        supernet.zero_grad(set_to_none=True)
        for y in (supernet(*inputs, architecture=a), child(*inputs)):
            total = sum(t.square().sum() for t in tensors_in(y))
            if isinstance(total, Tensor) and total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
        for path, p in child.named_parameters():
            whole = supernet.model.get_parameter(path)
            sums = [None if part.grad is None else part.grad.abs().sum() for part in (whole, p)]
            there = sums[0] is not None and sums[1] is not None
            close = there and torch.allclose(sums[0], sums[1], rtol=1.3e-6, atol=1e-5)  # type: ignore[arg-type]
            true(f"sum of the gradient of {path!r}", close, expected=sums[1], got=sums[0])


def state_dict_and_first_weights_are_those_of_torch(make: MakeCase) -> None:
    """Thus weights can be loaded from one into the other, and the same seed draws the same weights."""
    twin, again, largest = _twin(make)[0], _twin(make)[0], _twin(make)[1]
    equal("names of the state dict", list(twin.state_dict()), list(largest.state_dict()))
    for key, tensor in largest.state_dict().items():
        equal(f"shape of {key!r}", twin.state_dict()[key].shape, tensor.shape)
        _same(f"{key!r} of the same seed", again.state_dict()[key], twin.state_dict()[key])
    twin.load_state_dict(largest.state_dict())
    largest.load_state_dict(twin.state_dict())
    true("the twin", isinstance(twin, type(largest)), expected=type(largest), got=type(twin).__mro__)


def with_its_largest_sizes_it_computes_what_torch_computes(make: MakeCase) -> None:
    """Both have the same weights for the comparison."""
    case, supernet = _made(make)
    twin, largest = supernet.model.get_submodule(case.path), case.largest
    assert largest is not None
    twin.load_state_dict(largest.state_dict())
    a = {name: getattr(v, "high", None) or v.choices[-1] for name, v in supernet.space.items()}  # type: ignore[union-attr]
    a |= {name: value for name, value in case.values.items() if name in a}
    y = supernet(*case.inputs[0], architecture=a)
    model = largest
    if case.path:
        model = supernet.extract(a, example=case.inputs[0])
        parent, _, name = case.path.rpartition(".")
        setattr(model.get_submodule(parent), name, largest)
    for got, expected in zip(tensors_in(y), tensors_in(model.eval()(*case.inputs[0])), strict=False):
        close = torch.allclose(got, expected, rtol=1.3e-6, atol=1e-5)
        true("the output at the largest sizes", close, expected=expected, got=got)


TWIN_CLAIMS: tuple[Callable[[MakeCase], None], ...] = (
    the_child_is_the_plain_layer_of_torch,
    gradients_reach_the_parts_that_are_used,
    state_dict_and_first_weights_are_those_of_torch,
    with_its_largest_sizes_it_computes_what_torch_computes,
)
"""The claims for twins of torch layers, in addition to `LAYER_CLAIMS`."""


def _made(make: MakeCase) -> tuple[LayerCase, Supernet]:
    """Return the case and its supernet in eval mode, with the weights and inputs of seed 0."""
    with torch.random.fork_rng(devices=[]):
        seed_torch(0)
        case = make()
        return case, Supernet(case.model).eval()


def _twin(make: MakeCase) -> tuple[nn.Module, nn.Module]:
    case, supernet = _made(make)
    assert case.largest is not None
    return supernet.model.get_submodule(case.path), case.largest


def _settings(
    case: LayerCase, supernet: Supernet, count: int = _COUNT
) -> Iterator[tuple[Architecture, tuple[Any, ...]]]:
    rng = Random(0)
    for _ in range(count):
        a = supernet.space.sample(rng)
        for inputs in case.inputs:
            yield a, inputs


def _same(what: str, got: Any, expected: Any) -> None:
    """Claim that two outputs contain the same tensors, to the last bit."""
    pairs = list(zip(tensors_in(got), tensors_in(expected), strict=True))
    true(what, pairs, expected="a tensor, or several in a tuple, list or dictionary", got=type(got).__name__)
    for one, other in pairs:
        true(what, torch.equal(one, other), expected=other, got=one)
