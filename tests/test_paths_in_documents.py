"""Files, folders and names of the package that documents mention are there."""

import pkgutil
import re
from pathlib import Path

import pytest

import asng

ROOT = Path(__file__).parents[1]
PACKAGE = Path(asng.__file__).parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TOPS = {path.name for folder in (ROOT, PACKAGE) for path in folder.iterdir() if path.is_dir()} - {"build"}
FILES = {path.name for folder in ("src", "tests", "tools") for path in (ROOT / folder).rglob("*.py")}
ANYWHERE = {"inner.py", "my_search.py"}
"""Of a reader's own, or told of where they lie."""


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def missing_paths(text: str, home: Path = ROOT) -> list[str]:
    """Return the paths in backquotes that lead nowhere from the root, the package or the page's folder."""
    missing = []
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]*)*)`", text):
        first, slash, _ = path.partition("/")
        if slash and (first in TOPS or path.endswith((".py", ".j2"))):
            if not any((folder / path).exists() for folder in (ROOT, PACKAGE, home)):
                missing.append(path)
        elif path.endswith(".py") and path not in FILES and path not in ANYWHERE:
            missing += [] if list((ROOT / "benchmarks").rglob(path)) else [path]
    return missing


def missing_names(text: str) -> list[str]:
    """Return the dotted names of asng in backquotes that are not there."""
    missing = []
    for name in re.findall(r"`(asng(?:\.\w+)+)(?:\([^`]*)?`", text):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            missing.append(name)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_paths_and_names_in_a_page_are_there(page):
    assert missing_paths(prose(page), page.parent) == []
    assert missing_names(prose(page)) == []


def test_what_is_gone_is_seen():
    text = (
        "See `optim/step.py`, `optim/gone.py`, `tests/nowhere/`, `cli/`, `test_house.py`, `gone.py`, `a/b`."
    )
    assert missing_paths(text) == ["optim/gone.py", "tests/nowhere/", "gone.py"]
    assert missing_names("`asng.nn.Choice`, `asng.nn.Gone`, `asng.gone(1)`, `asng search`") == [
        "asng.nn.Gone",
        "asng.gone",
    ]
