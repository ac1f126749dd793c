"""tools/house.py counts what it says, on a package made up for it."""

from pathlib import Path

import pytest

from tools import house

FILES = {
    "__init__": "from tiny.one import One\nfrom tiny.room import Twice\n",
    # Both halves of a circle: through a room's __init__, and only for type checkers.
    "one": "from tiny.room import Twice\nclass One: ...\n",
    "room/__init__": "from tiny.room.inner import Twice\nfrom tiny.room.plain import plain\n",
    "room/inner": "def late():\n    if TYPE_CHECKING:\n        from tiny import One\nclass Twice: ...\n",
    "room/plain": '"""Reads log.jsonl."""\nLOG = "log.jsonl"\ndef plain(): ...\n',
    # Uses a room by attribute: an import of the file that defines the attribute.
    "other/plain": "from tiny import room\nclass Twice:\n    make = room.plain\n",
    "other/text": 'TEXT = "There is no log.jsonl here."\n',
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "tiny" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return house.Package(tmp_path, "tiny")


def test_a_circle_is_seen_through_rooms_functions_and_type_checking(package):
    assert package.circles() == [["tiny.one", "tiny.room.inner"]]


def test_who_imports_a_file_is_whoever_uses_what_it_defines(package):
    assert package.importers() == {
        "tiny.one": ["tiny.room.inner"],
        "tiny.room.inner": ["tiny.one"],
        "tiny.room.plain": ["tiny.other.plain"],
        "tiny.other.plain": [],
        "tiny.other.text": [],
    }


def test_doubles_lines_and_names_of_the_run_folder(package):
    figures = {figure.name: figure for figure in house.counted(package)}
    assert figures["files beside __init__"].measured == 5
    assert figures["lines of the median file"].measured == 3
    assert figures["lines of the longest file"].measured == 4
    assert figures["lines of src"].measured == sum(text.count("\n") for text in FILES.values())
    assert figures["names of classes that stand twice"].details == [
        "Twice: tiny.other.plain, tiny.room.inner"
    ]
    assert figures["names of files that stand twice"].details == ["plain: tiny.other.plain, tiny.room.plain"]
    assert figures["files that name files of a run folder"].details == ["tiny.room.plain: log.jsonl"]
    assert figures["files with exactly one importer"].measured == 3


def test_a_missed_aim_is_said_and_is_the_exit_code(package, capsys):
    words = ["--src", str(package.src), "--package", "tiny", "--static"]
    assert house.main(words) == 1
    printed = capsys.readouterr().out
    assert "at most 0   MISSED" in printed
    assert "at most 210   MISSED" not in printed


@pytest.mark.slow
def test_the_third_step_of_a_search_is_followed():
    package = house.Package(Path(house.__file__).parents[1] / "src", "asng")
    step = house.entered(package, "step")
    assert "asng/search/loop.py" in step
    assert "asng/optim/step.py" in step
    assert not any("report" in path or "__init__" in path for path in step)
