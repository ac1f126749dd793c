"""Variables that are there only with some values of others: declared, drawn, counted, written and read."""

import itertools
import pickle
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.black_box import minimize
from asng.black_box.calling import Watched, call
from asng.errors import InputError, SpaceError
from asng.optim import ASNG, SNG, RandomSearch
from asng.space import Architecture, Categorical, Integer, Real, Space

SVM = Space(
    {
        "kernel": Categorical(["linear", "poly", "rbf"]),
        "degree": Integer(1, 3, when={"kernel": "poly"}),
        "gamma": Integer(1, 4, when={"kernel": ["poly", "rbf"]}),
        "shift": Categorical([False, True], when={"degree": [2, 3], "kernel": "poly"}),
        "C": Integer(1, 5),
    }
)


def all_of(space):
    """Every architecture, by decoding every raw point."""
    axes = [[v.encode(value) for value in values(v)] for v in space.values()]
    return {space.decode(x) for x in itertools.product(*axes)}


def values(variable):
    return variable.choices if isinstance(variable, Categorical) else range(variable.low, variable.high + 1)


@st.composite
def spaces(draw):
    variables = {}
    for i in range(draw(st.integers(1, 5))):
        when = {}
        for other in (
            draw(st.lists(st.sampled_from(sorted(variables)), max_size=2, unique=True)) if variables else []
        ):
            when[other] = draw(
                st.lists(st.sampled_from(list(values(variables[other]))), min_size=1, max_size=2)
            )
        if draw(st.booleans()):
            variables[f"v{i}"] = Integer(0, draw(st.integers(0, 3)), when=when)
        else:
            variables[f"v{i}"] = Categorical(range(draw(st.integers(1, 3))), when=when)
    return Space(variables)


@settings(max_examples=40)
@given(spaces())
def test_the_size_counts_every_architecture_once(space):
    assert space.size == len(all_of(space))


@settings(max_examples=40)
@given(spaces(), st.integers(0, 1000))
def test_what_is_drawn_is_whole_and_comes_back(space, seed):
    architecture = space.sample(random.Random(seed))
    assert space.contains(architecture)
    space.check(architecture)
    assert space.decode(space.encode(architecture)) == architecture
    assert Space.from_json(space.to_json()) == space
    assert pickle.loads(pickle.dumps(architecture)).deciding == space.deciding  # noqa: S301
    for name in architecture:
        less = {other: value for other, value in architecture.items() if other != name}
        assert not space.contains(less)


def test_what_is_not_there_is_not_drawn():
    for architecture in all_of(SVM):
        assert ("degree" in architecture) == (architecture["kernel"] == "poly")
        assert ("gamma" in architecture) == (architecture["kernel"] != "linear")
        assert ("shift" in architecture) == (architecture.get("degree", 0) > 1)
    assert SVM.size == len(all_of(SVM)) == 5 * (1 + 4 + 4 * (1 + 2 * 2))


@pytest.mark.parametrize("make", [ASNG, SNG, RandomSearch, ASNG.paper])
def test_optimisers_learn_nothing_of_what_is_not_there(make):
    opt = make(SVM, seed=1, lam=8)
    before = {name: list(opt.theta[name]) for name in ("degree", "shift")}
    for _ in range(3):
        drawn = [c for c in opt.ask(40) if c["kernel"] != "poly"]
        opt.tell(drawn, [float(c["C"]) for c in drawn])
    assert {name: list(opt.theta[name]) for name in ("degree", "shift")} == before


def svm(a):
    loss = {"linear": 3.0, "rbf": 1.0, "poly": 0.5}[a["kernel"]] + abs(a["C"] - 2)
    if a["kernel"] == "poly":
        loss += abs(a["degree"] - 2) + (0.0 if a.get("shift", False) else 0.5)
    return loss + (abs(a["gamma"] - 3) if "gamma" in a else 0.0)


@pytest.mark.parametrize("flags", [{}, {"activity": False}, {"asynchronous": True}])
@pytest.mark.slow
def test_a_search_finds_the_best_and_pays_once_for_each(flags, tmp_path):
    result = minimize(svm, SVM, 150, run_dir=tmp_path, **flags)
    assert dict(result.architecture) == {"kernel": "poly", "degree": 2, "gamma": 3, "shift": True, "C": 2}
    paid = [one.architecture for one in result.history if not one.cached]
    assert len(paid) == len(set(paid)) == result.evaluated <= SVM.size
    assert all(SVM.contains(one) for one in paid)
    assert result.history == minimize(svm, SVM, 150, run_dir=tmp_path, resume=True, **flags).history
    assert "kernel" in result.report().read_text()
    assert set(result.columns()) >= set(SVM)


def test_a_space_with_conditions_is_exhausted():
    result = minimize(lambda a: svm(a), SVM, 1000, optimizer=RandomSearch(SVM, lam=8), activity=False)
    assert (result.reason, result.evaluated) == ("exhausted", SVM.size)


@pytest.mark.parametrize(
    ("use", "read"),
    [
        (lambda a: a["kernel"], {"kernel"}),
        (lambda a: a.get("degree"), {"kernel"}),
        (lambda a: "degree" in a, {"kernel"}),
        (len, {"kernel"}),
        (list, {"kernel"}),
        (lambda a: a["C"], {"C"}),
    ],
)
def test_to_ask_whether_a_variable_is_there_reads_what_decides(use, read):
    watched = Watched(SVM.decode([0.0, 2.0, 2.0, 0.0, 3.0]))
    use(watched)
    assert set(watched.reads) == read
    sent = pickle.loads(pickle.dumps(SVM.decode([0.0, 2.0, 2.0, 0.0, 3.0])))  # noqa: S301 - as a worker has it
    assert set(call(lambda a: bool(use(a)) * 1.0, sent, activity=True).reads) == read


def test_without_conditions_names_say_nothing():
    watched = Watched(Architecture({"a": 1}))
    assert (len(watched), "a" in watched, watched.reads) == (1, True, ())


def test_reals_that_may_be_there_make_it_infinite():
    rate = Real(0.0, 1.0, when={"op": "a"})
    assert Space({"op": Categorical(["a", "b"]), "rate": rate}).size == float("inf")
    grid = Real(0.0, 1.0, step=0.25, when={"op": "a"})
    assert Space({"op": Categorical(["a", "b"]), "rate": grid}).size == 6


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"a": Integer(0, 1, when={"b": 1})}, "no variable 'b'"),
        (
            {"a": Integer(0, 1), "b": Integer(0, 1, when={"a": 7})},
            r"when 'a': expected an integer in \[0, 1\], got 7",
        ),
        ({"a": Integer(0, 1), "b": Integer(0, 1, when={"a": []})}, "at least one value"),
        (
            {"a": Integer(0, 1, when={"b": 1}), "b": Integer(0, 1, when={"a": 1})},
            "do not depend on themselves, got a, b",
        ),
    ],
)
def test_conditions_that_cannot_be_are_refused(variables, message):
    with pytest.raises(SpaceError, match=message):
        Space(variables)


@pytest.mark.parametrize("when", ["kernel", 3, [("a", 1)], {3: 1}])
def test_what_is_no_condition_is_refused(when):
    with pytest.raises(SpaceError, match="when: expected a dict of a name"):
        Integer(0, 1, when=when)


def test_a_value_of_what_is_not_there_is_refused():
    with pytest.raises(
        SpaceError, match=r"expected no value, because it exists only when \{'kernel': \('poly',\)\}"
    ):
        SVM.check({"kernel": "linear", "C": 1, "degree": 2})
    with pytest.raises(InputError, match=r"start\[0\]: architecture\['degree'\]: expected a value, got none"):
        minimize(svm, SVM, 5, start=[{"kernel": "poly", "C": 1}])


def test_many_variables_may_depend_on_one():
    of_one = {f"v{i}": Integer(1, 3, when={"on": True}) for i in range(2_000)}
    assert Space({"on": Categorical([False, True]), **of_one}).size == 1 + 3**2_000
    reversed_chain = {f"v{i}": Categorical([0, 1], when={f"v{i + 1}": 1}) for i in range(3_000)}
    begun = time.process_time()
    space = Space(reversed_chain | {"v3000": Categorical([0, 1])})
    assert space.deciding[0] == "v3000"
    assert space.size > 2**100  # an upper bound
    assert time.process_time() - begun < 2.0
