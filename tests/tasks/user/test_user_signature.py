import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import user_things
from hypothesis import given
from hypothesis import strategies as st
from jsonargparse import ArgumentParser
from torch import nn
from user_things import Colour, Odd, Options

from asng.errors import InputError, RunError, SpaceError
from asng.tasks.user.importing import import_named
from asng.tasks.user.signature import add_arguments, call, named_by, plain_arguments
from asng.tasks.user.trust import ANYTHING, Imports


def through_flags(target, words, **settings):
    """Return what a command line makes of a target, by way of plain values."""
    parser = ArgumentParser(exit_on_error=False)
    add_arguments(parser, "model", target, **settings)
    plain = plain_arguments("model", target, parser.parse_args(words)["model"])
    return plain, call("model", "odd", target, plain, imports=ANYTHING)


def test_defaults_come_through_as_they_are():
    plain, odd = through_flags(Odd, ["--model.bare", "3"])
    untouched = Odd(3).got
    tensor, module = odd.got.pop("tensor"), odd.got.pop("module")
    assert torch.equal(tensor, untouched.pop("tensor"))
    assert module is untouched.pop("module")
    assert odd.got == untouched
    assert {"tensor", "module"}.isdisjoint(plain)


def test_flags_of_many_kinds_come_through():
    words = [
        "--model.bare",
        "[1, 2]",
        "--model.path",
        "there",
        "--model.colour",
        "BLUE",
        "--model.pair",
        "[3, 4]",
    ]
    words += ["--model.options.rate", "2", "--model.items", "{a: 5}", "--model.inner", "torch.nn.Tanh"]
    plain, odd = through_flags(Odd, words)
    assert plain["colour"] == "BLUE"
    assert odd.got["bare"] == [1, 2]
    assert odd.got["path"] == Path("there")
    assert odd.got["colour"] is Colour.BLUE
    assert odd.got["pair"] == (3, 4)
    assert odd.got["options"] == Options(rate=2.0, steps=3)
    assert odd.got["items"] == {"a": 5}
    assert odd.got["inner"] is nn.Tanh


def test_an_argument_whose_default_yaml_cannot_hold_has_no_flag():
    with pytest.raises(Exception, match=r"unrecognized arguments: --model.module"):
        through_flags(Odd, ["--model.bare", "3", "--model.module", "torch.nn.Tanh"])


def test_an_argument_given_otherwise_has_no_flag():
    with pytest.raises(Exception, match=r"unrecognized arguments: --model.width"):
        through_flags(user_things.Net, ["--model.width", "3"], given={"width"})


@given(
    width=st.integers(-(10**9), 10**9), rate=st.floats(allow_nan=False, allow_infinity=False), word=st.text()
)
def test_plain_values_come_through_unchanged(width, rate, word):
    def target(width: int, rate: float, word: str):
        return width, rate, word

    assert call(
        "model", "target", target, {"width": width, "rate": rate, "word": word}, imports=ANYTHING
    ) == (
        width,
        rate,
        word,
    )


def test_what_is_given_is_passed_as_it_is():
    def target(n: int = 2, *, seed: int):
        return n, seed

    assert call("data", "target", target, {}, given={"seed": 7}, imports=ANYTHING) == (2, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widht": 3}, "model: net has no argument 'widht'. Did you mean 'width'?"),
        ({"width": "wide"}, "model: net: .*width.*Expected a <class 'int'>. Got value: wide"),
        ({"width": -1}, r"model: net fails: RuntimeError: .* \(.*user_things.py, line \d+\)."),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        call("model", "net", user_things.Net, arguments, imports=ANYTHING)
    assert "\n" not in str(caught.value)


def test_a_missing_argument_is_named_with_a_type_or_without():
    def target(width: int):
        return width

    with pytest.raises(InputError, match=r"model: net: the following arguments are required: model.width"):
        call("model", "net", target, {}, imports=ANYTHING)
    with pytest.raises(InputError, match=r"model: odd needs the argument 'bare'. Give --model.bare"):
        call("model", "odd", Odd, {}, imports=ANYTHING)
    with pytest.raises(InputError, match="model: odd needs the argument 'bare'"):
        through_flags(Odd, [])


def test_an_argument_that_cannot_be_made_is_named():
    def target(inner: nn.Module):
        return inner

    inner = {"class_path": "user_things.Net", "init_args": {"width": -1}}
    with pytest.raises(
        InputError, match=r"model: net: an argument of it fails: RuntimeError: .*user_things.py"
    ):
        call("model", "net", target, {"inner": inner}, imports=ANYTHING)


def test_an_error_of_the_library_stays_what_it_is():
    def empty():
        user_things.Choice({})

    with pytest.raises(SpaceError, match="model: empty: candidates: expected at least one module"):
        call("model", "empty", empty, {}, imports=ANYTHING)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("user_thinks.Net", "model: there is no module 'user_thinks'. Did you mean 'user_things'?"),
        ("user_things.Nett", "model: module user_things has no 'Nett'. Did you mean 'Net'?"),
        ("user_things.Net.buidl", "model: class Net has no 'buidl'"),
        ("user_things.Missing.inner", "model: module user_things has no 'Missing'"),
        ("torch.nn.functonal.relu", "model: module torch.nn has no 'functonal'. Did you mean 'functional'?"),
        ("Net", "expected an import path such as package.module.name, got 'Net'"),
        ("user_things..Net", "expected an import path such as package.module.name, got 'user_things..Net'"),
        ("", "expected an import path such as package.module.name, got ''"),
        ("__main__.Net", "__main__"),
    ],
)
def test_a_wrong_import_path_gets_the_nearest_right_name(path, message):
    with pytest.raises(InputError, match=message):
        import_named("model", path, imports=ANYTHING)


def test_inner_names_and_modules_not_yet_imported_are_found():
    assert import_named("model", "user_things.Net.forward", imports=ANYTHING) is user_things.Net.forward
    assert (
        import_named("loss", "xml.dom.minidom.parseString", imports=ANYTHING).__module__ == "xml.dom.minidom"
    )


def takes_all(
    plain: str = "",
    number: float | None = None,
    words: list[str] | None = None,
    sizes: "dict[str, int] | None" = None,
    kind: Literal["a", "b"] = "a",
    anything: Any = None,
    untyped=None,
    call: Callable[..., Any] | None = None,
    several: list[Callable[..., Any]] | None = None,
    by_name: dict[str, type] | None = None,
    either: "int | Callable[..., Any]" = 1,
    module: nn.Module | None = None,
    names: "str | list[str]" = "",
    bare: list | None = None,
    pair: "tuple[int, Callable[..., Any]] | None" = None,
):
    """Has an argument of every kind."""
    return locals()


SPEC = {"class_path": "fractions.Fraction", "init_args": {"numerator": "numbers.Real"}}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"plain": "os.system", "words": ["os.system"], "sizes": {"os.system": 1}, "kind": "a"}, []),
        ({"number": "3", "anything": "os.system", "untyped": ["os.system", {"a": "os.system"}]}, []),
        ({"call": "os.system"}, ["os.system"]),
        ({"several": ["os.system", "os.remove"]}, ["os.system", "os.remove"]),
        ({"by_name": {"a": "fractions.Fraction"}}, ["fractions.Fraction"]),
        ({"either": "os.system"}, ["os.system"]),
        ({"module": "Identity"}, ["Identity"]),  # jsonargparse knows classes by their last name too
        ({"pair": [1, "os.system"]}, ["os.system"]),
        ({"module": SPEC}, ["fractions.Fraction", "numbers.Real"]),
        ({"anything": SPEC}, ["fractions.Fraction", "numbers.Real"]),
        ({"untyped": [{"deep": SPEC}]}, ["fractions.Fraction", "numbers.Real"]),
        ({"names": "os.system", "bare": ["os.system"]}, []),
        ({"bare": [SPEC]}, ["fractions.Fraction", "numbers.Real"]),
        ({"anything": '{"class_p\u0061th": "fractions.Fraction"}'}, ["fractions.Fraction"]),
        # Not all parsers read the same: that of jsonargparse has no dates, and so no wrong ones.
        (
            {"untyped": "{class_path: fractions.Fraction, x: 2001-99-99}"},
            ["fractions.Fraction", "x", "2001-99-99"],
        ),
        ({"bare": "- {class_path: fractions.Fraction}\n- !!int ''"}, ["fractions.Fraction", ""]),
        ({"anything": "{? class_path : fractions.Fraction}"}, ["fractions.Fraction"]),
        ({"anything": "*.png", "untyped": "{a: b", "bare": "[x, class]"}, []),
        ({"no_such": "os.system"}, ["os.system"]),
    ],
)
def test_words_that_could_be_imported_are_known_before_anything_is(arguments, names):
    assert named_by("data", takes_all, arguments) == names
    if names:
        with pytest.raises(RunError, match=re.escape(f"would have {', '.join(names)} imported")):
            call("data", "pkg.takes_all", takes_all, arguments, imports=Imports(frozenset(), "config.yaml"))


LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]" for n in range(9))


@pytest.mark.parametrize("text", [LAUGHS, "[" * 100 + "]" * 100, "{a: &a [*a]}"])
def test_a_text_that_would_keep_its_reader_busy_is_refused(text):
    with pytest.raises(
        InputError, match=r"data: expected an argument of plain values, got (an anchor|more than)"
    ):
        call("data", "pkg.takes_all", takes_all, {"untyped": text}, imports=ANYTHING)


def test_a_text_that_no_parser_takes_is_an_error_of_its_argument():
    with pytest.raises(InputError, match=r"data: pkg.takes_all: .*index out of range"):
        call("data", "pkg.takes_all", takes_all, {"anything": "!!int ''"}, imports=ANYTHING)


class Lazy(nn.Module):
    """Hands its arguments on by **kwargs, whose types jsonargparse finds in the code."""

    def __init__(self, **kwargs):
        super().__init__()
        takes_all(**kwargs)


def test_arguments_that_are_handed_on_are_known_as_well():
    assert named_by("model", Lazy, {"call": "os.system", "plain": "os.system"}) == ["os.system"]
