from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import nn

from asng import Architecture, Categorical, Real
from asng.errors import InputError, SpaceError
from asng.nn import Choice, InputChoice, Searchable, Supernet
from asng.nn.selection import current_selection, following


class Scaled(Searchable):
    """Multiplies by a variable of the given description."""

    def __init__(self, variable):
        super().__init__()
        self.variable = variable

    def variables(self):
        return {"factor": self.variable}

    def forward(self, x):
        return x * self.value("factor")


def _skip_or_not(label=None):
    return Choice({"linear": nn.Linear(2, 2), "skip": nn.Identity()}, label=label)


def test_names_are_labels_or_paths_in_the_order_of_modules():
    block = nn.ModuleDict({"b": _skip_or_not(), "a": _skip_or_not("named")})
    model = nn.ModuleDict({"z": block, "mix": InputChoice(2, 2)})
    assert list(Supernet(model).space) == ["z.b", "named", "mix.input1", "mix.input2"]


def test_same_label_is_the_same_variable():
    supernet = Supernet(nn.Sequential(_skip_or_not("op"), nn.ReLU(), _skip_or_not("op")))
    assert dict(supernet.space) == {"op": Categorical(["linear", "skip"])}
    assert torch.equal(supernet(torch.ones(2), architecture={"op": "skip"}), torch.ones(2))


def test_module_in_two_places_has_one_variable():
    op = _skip_or_not()
    assert list(Supernet(nn.Sequential(op, op)).space) == ["0"]


def test_same_label_with_another_variable_names_both():
    model = nn.Sequential(_skip_or_not("op"), nn.Sequential(Choice([nn.ReLU()], label="op")))
    with pytest.raises(SpaceError, match=r"'op'.*'linear', 'skip'.*in module '0'.*\[0\].*in module '1\.0'"):
        Supernet(model)


def test_label_that_is_the_path_of_another_module_is_an_error():
    with pytest.raises(SpaceError, match=r"variable '1': .*'0' and '1' both to share.*Rename the label"):
        Supernet(nn.Sequential(_skip_or_not("1"), _skip_or_not()))


def test_model_without_searchable_modules_says_what_to_do():
    with pytest.raises(
        SpaceError,
        match=r"got none in Linear. Put an asng.nn.Choice where .* or give a layer of asng.nn a variable",
    ):
        Supernet(nn.Linear(2, 2))


def test_model_that_is_no_module_is_an_error():
    with pytest.raises(InputError, match=r"model: expected a torch.nn.Module, got 3"):
        Supernet(3)


def test_second_supernet_of_one_model_is_fine():
    model = nn.Sequential(_skip_or_not())
    assert Supernet(model).space == Supernet(model).space


def test_second_supernet_that_would_rename_is_an_error():
    model = nn.Sequential(nn.Sequential(_skip_or_not()))
    first = Supernet(model)
    with pytest.raises(SpaceError, match=r"'0': expected the names.*\['0.0'\], got \['0'\]. Give its var"):
        Supernet(model[0])
    assert torch.equal(first(torch.ones(2), architecture={"0.0": "skip"}), torch.ones(2))


def test_labels_let_a_part_have_a_supernet_of_its_own():
    model = nn.Sequential(nn.Sequential(_skip_or_not("op")))
    assert Supernet(model).space == Supernet(model[0]).space


def test_model_stays_the_users_object_and_state():
    model = _skip_or_not("op")
    supernet = Supernet(model)
    assert supernet.model is model
    assert list(supernet.state_dict()) == [f"model.{name}" for name in model.state_dict()]


def test_active_is_what_the_last_forward_read():
    inner = Choice({"x": nn.Tanh(), "y": nn.ReLU()}, label="inner")
    supernet = Supernet(Choice({"deep": inner, "skip": nn.Identity()}, label="outer"))
    assert supernet.active == frozenset()
    supernet(torch.ones(1), architecture={"outer": "deep", "inner": "x"})
    assert supernet.active == {"outer", "inner"}
    supernet(torch.ones(1), architecture={"outer": "skip", "inner": "x"})
    assert supernet.active == {"outer"}


@pytest.mark.parametrize("kind", [dict, Architecture])
def test_architecture_of_another_space_is_an_error(kind):
    supernet = Supernet(_skip_or_not("op"))
    for use in (lambda a: supernet(torch.ones(2), architecture=a), supernet.extract):
        with pytest.raises(
            SpaceError, match=r"architecture\['op'\]: expected one of 'linear', 'skip'.*skipp"
        ):
            use(kind({"op": "skipp"}))
        with pytest.raises(SpaceError, match=r"architecture\['op2'\]: the space has no such variable"):
            use(kind({"op": "skip", "op2": 1}))


def test_frozen_architecture_is_checked_once_and_a_dict_each_time(monkeypatch):
    supernet = Supernet(_skip_or_not("op"))
    checks = []
    monkeypatch.setattr(type(supernet.space), "check", lambda _, a: checks.append(a))
    frozen, loose = Architecture({"op": "skip"}), {"op": "skip"}
    for a in (frozen, frozen, loose, loose):
        supernet(torch.ones(2), architecture=a)
    assert len(checks) == 3


def test_a_dict_edited_after_its_check_is_checked_again():
    supernet, a = Supernet(_skip_or_not("op")), {"op": "skip"}
    supernet(torch.ones(2), architecture=a)
    a["op"] = "no"
    with pytest.raises(SpaceError, match="expected one of 'linear', 'skip', got 'no'"):
        supernet(torch.ones(2), architecture=a)


def test_failing_forward_leaves_no_selection():
    supernet = Supernet(_skip_or_not("op"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        supernet(torch.ones(1, 3), architecture={"op": "linear"})
    assert current_selection() is None


def test_selections_nest():
    with following({"a": 1}) as outer:
        with following({"a": 2}) as inner:
            assert current_selection() is inner
        assert current_selection() is outer


def test_threads_follow_their_own_architectures():
    barrier = Barrier(2)

    class Wait(nn.Module):
        def forward(self, x):
            barrier.wait(timeout=10)
            return x

    supernet = Supernet(nn.Sequential(Wait(), Scaled(Real(0.0, 9.0, label="factor")), Wait()))
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(supernet, torch.ones(1), architecture={"factor": f}) for f in (2.0, 5.0)]
        assert [run.result().item() for run in runs] == [2.0, 5.0]


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(net, nn.Linear(2, 2))])
def test_a_supernet_of_a_supernet_is_refused(wrap):
    with pytest.raises(InputError, match=r"^model: expected a model .* got a Supernet at .*supernet\.model"):
        Supernet(wrap(Supernet(_skip_or_not("op"))))


@pytest.mark.parametrize("architecture", [None, "op", [("op", "skip")], 3])
def test_what_is_no_architecture_is_refused(architecture):
    supernet = Supernet(_skip_or_not("op"))
    for use in (
        lambda: supernet(torch.ones(2), architecture=architecture),
        lambda: supernet.extract(architecture),
    ):
        with pytest.raises(SpaceError, match=r"^architecture: expected values by name of a variable, got"):
            use()


@pytest.mark.parametrize("variables", [[Real(0.0, 1.0)], {"factor": 3}, Real(0.0, 1.0), None])
def test_what_is_no_mapping_of_slots_to_variables_is_refused(variables):
    class Wrong(Scaled):
        def variables(self):
            return self.variable

    with pytest.raises(SpaceError, match=r"module '0' \(Wrong\), variables: expected a mapping"):
        Supernet(nn.Sequential(Wrong(variables), _skip_or_not()))
