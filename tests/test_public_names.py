"""Benchmarks, examples and the code in documents use what a room exports, never a file in it."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import asng

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "examples").rglob("*.py")])
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def private(tree: ast.Module) -> list[str]:
    """Return the imports from asng of what its rooms do not export."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [
                one.name for one in node.names if one.name.startswith("asng.") and not is_room(one.name)
            ]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asng":
            exported = exports(str(node.module))
            found += [f"{node.module}.{one.name}" for one in node.names if one.name not in exported]
    return found


def exports(module: str) -> list[str]:
    """Return what a module promises: rooms, and modules about other tools, whose packages may be missing."""
    if module.startswith("asng.integrations."):
        path = Path(asng.__file__).parent / "integrations" / f"{module.rpartition('.')[2]}.py"
        found = re.search(r"^__all__ = (\[.*?\])", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        return list(ast.literal_eval(found[1])) if found else []
    return list(importlib.import_module(module).__all__) if is_room(module) else []


def is_room(name: str) -> bool:
    """Whether a module is a folder whose __init__ exports names."""
    return hasattr(importlib.import_module(name), "__path__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_imports_from_rooms(script):
    assert private(ast.parse(script.read_text())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_page_imports_from_rooms(page):
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert [name for block in blocks for name in private(ast.parse(block))] == []


def paths_taken():
    """Yield (function, argument, type) for each argument of an exported function that is a path."""
    rooms = sorted({one.name for one in pkgutil.walk_packages(asng.__path__, "asng.") if one.ispkg})
    for room in (importlib.import_module(name) for name in rooms if not name.startswith("asng.cli")):
        for name in getattr(room, "__all__", ()):
            if inspect.isfunction(function := getattr(room, name)):
                for one in inspect.signature(function).parameters.values():
                    kind = inspect.formatannotation(one.annotation)
                    if re.search(r"\bPath(Like)?\b", kind) and "Callable" not in kind:
                        yield f"{room.__name__}.{name}", one.name, kind


def test_a_path_may_be_a_string():
    taken = list(paths_taken())
    assert ("asng.training.save_child", "path") in [one[:2] for one in taken]
    assert [one for one in taken if "str" not in one[2]] == []


def test_what_is_private_is_seen():
    code = "import asng.search.loop\nfrom asng.optim.asng import ASNG\nfrom asng.optim import Space"
    assert private(ast.parse(code)) == ["asng.search.loop", "asng.optim.asng.ASNG", "asng.optim.Space"]
    assert private(ast.parse("from asng import nn, ASNG\nfrom asng.nn import Choice\nimport asng")) == []
    assert "nn" in asng.__all__


def test_every_benchmark_stands_in_the_readme_with_its_results():
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    scripts = [path for path in SCRIPTS if 'if __name__ == "__main__"' in path.read_text()]
    scripts = [path for path in scripts if "benchmarks" in path.parts and path.name != "inner.py"]
    assert len(scripts) > 25
    for path in scripts:
        assert f"| `{path.parent.name}/{path.name}` |" in readme
    for result in (ROOT / "benchmarks" / "results").glob("*.json"):
        name = re.sub(r"^benchmark_.*", "benchmark_<problem>", result.stem)
        assert f"`{name}`" in readme, name


ROOMS = [one.name for one in pkgutil.iter_modules(asng.__path__) if one.ispkg and one.name != "cli"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_an_attribute_without_an_import_of_its_own(room, monkeypatch):
    monkeypatch.delattr(asng, room, raising=False)  # as if nothing had imported it
    assert getattr(asng, room) is importlib.import_module(f"asng.{room}")
    assert room in dir(asng)


def test_a_module_that_is_no_room_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'asng' has no attribute 'trainings'"):
        _ = asng.trainings
