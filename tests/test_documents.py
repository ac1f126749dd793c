"""What the documents say runs: the code of the README and of docs/, the examples, those in docstrings."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asng

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(m.name for m in pkgutil.walk_packages(asng.__path__, "asng.") if "__main__" not in m.name)


def blocks(page: Path) -> list[str]:
    """The Python code of a page, each block a program of its own."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


BLOCKS = {f"{page.name}-{i}": block for page in PAGES for i, block in enumerate(blocks(page))}


def run(*words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pages_have_code():
    assert len(blocks(ROOT / "README.md")) == 2
    assert len(blocks(ROOT / "docs" / "objectives-and-costs.md")) == 2


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_the_code_of_pages_runs(block, tmp_path):
    assert run("-W", "error", "-c", block, folder=tmp_path)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(example, tmp_path):
    assert run("-W", "error", str(example), folder=tmp_path)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_importing_asng_loads_neither_torch_nor_numpy(tmp_path):
    loaded = run("-c", "import asng, sys; print(sorted(sys.modules))", folder=tmp_path)
    assert "'torch'" not in loaded
    assert "'numpy'" not in loaded
    assert "'matplotlib'" not in loaded
    assert "'asng'" in loaded


def test_a_black_box_needs_no_torch(tmp_path):
    code = "import asng, sys; asng.ASNG(asng.Space({'a': asng.Integer(1, 3)})).ask()"
    assert run("-c", f"{code}; print('torch' in sys.modules)", folder=tmp_path).strip() == "False"


def test_every_public_name_is_there():
    for name in asng.__all__:
        assert getattr(asng, name) is not None
