"""What counts as reading a value."""

import copy
import pickle

import pytest

from asng.black_box.calling import Watched
from asng.space import Architecture

PLAIN = Architecture({"a": 1, "b": "x", "c": None})


@pytest.mark.parametrize(
    ("use", "read"),
    [
        (lambda a: a["b"], {"b"}),
        (lambda a: a.get("a"), {"a"}),
        (lambda a: a.get("z", 3), set()),
        (len, set()),
        (list, set()),
        (lambda a: "a" in a, set()),
        (lambda a: [name for name in a.keys() if name > "a"], set()),  # noqa: SIM118
        (lambda a: next(iter(a.items())), {"a"}),
        (lambda a: dict(a), set(PLAIN)),
        (lambda a: dict(**a), set(PLAIN)),
        (lambda a: list(a.values()), set(PLAIN)),
        (hash, set(PLAIN)),
        (repr, set(PLAIN)),
        (str, set(PLAIN)),
        (lambda a: a == PLAIN, set(PLAIN)),
        (lambda a: PLAIN == a, set(PLAIN)),  # noqa: SIM300
        (lambda a: a in {PLAIN}, set(PLAIN)),
        (lambda a: a.to_json(), set(PLAIN)),
        (copy.copy, set(PLAIN)),
        (copy.deepcopy, set(PLAIN)),
        (pickle.dumps, set(PLAIN)),
        (Architecture, set(PLAIN)),
    ],
)
def test_it_notes_what_is_read_and_no_more(use, read):
    watched = Watched(PLAIN)
    use(watched)
    assert set(watched.reads) == read


def test_it_is_an_architecture_like_the_plain_one():
    watched = Watched(PLAIN)
    assert isinstance(watched, Architecture)
    assert (watched == PLAIN, hash(watched) == hash(PLAIN), repr(watched) == repr(PLAIN)) == (True,) * 3
    assert type(pickle.loads(pickle.dumps(watched))) is Architecture  # noqa: S301
    with pytest.raises(KeyError, match="z"):
        watched["z"]
    assert "z" not in Watched(PLAIN)
