"""The reference of the site has every name that a room exports, once, and nothing else."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import asng

PAGES = Path(__file__).parents[1] / "docs" / "reference"
ROOMS = {
    page.stem: importlib.import_module(f"asng.{page.stem}")
    for page in sorted(PAGES.glob("*.md"))
    if page.stem
    not in {"asng", "integrations"}  # the modules of integrations need their tools: tests/integrations
}
OF_USERS = {"black_box", "compression", "costs", "data", "errors", "nn", "optim"}
OF_USERS |= {"report", "search", "space", "testing", "training"}


def shown(page: str) -> list[str]:
    """Return the paths that a page takes docstrings from."""
    return re.findall(r"^::: (.*)$", page, flags=re.MULTILINE)


def test_every_room_of_users_has_a_page():
    assert ROOMS.keys() == OF_USERS


@pytest.mark.parametrize("room", ROOMS)
def test_a_page_shows_what_its_room_exports(room):
    paths = shown((PAGES / f"{room}.md").read_text(encoding="utf-8"))
    assert sorted(path.rpartition(".")[2] for path in paths) == sorted(ROOMS[room].__all__)
    for path in paths:  # where a function has the name of its file, the path leads through the file
        assert pkgutil.resolve_name(path) is getattr(ROOMS[room], path.rpartition(".")[2]), path


def test_the_first_page_leads_to_every_name_of_the_package():
    page = (PAGES / "asng.md").read_text(encoding="utf-8")
    led = dict(re.findall(r"\[(\w+)\]\[(asng[\w.]+)\]", page))
    assert sorted([*led, "nn"]) == sorted(asng.__all__)
    pages = [(PAGES / f"{room}.md").read_text(encoding="utf-8") for room in ROOMS]
    everywhere = {path for one in pages for path in shown(one)}
    for name, path in led.items():
        assert path in everywhere
        assert pkgutil.resolve_name(path) is getattr(asng, name)
