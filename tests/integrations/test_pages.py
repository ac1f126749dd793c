"""What the pages about other tools say runs, and the reference has what their modules export."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import asng.integrations

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "integrations").glob("*.md"))
MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(asng.integrations.__path__)
    if not module.name.startswith("_")
)
"""Those of which a user imports; a chapter of one of them has a name that begins with an underscore."""
NEEDS = re.compile(r"^<!-- needs: ([\w ]+) -->$", flags=re.MULTILINE)
"""On each page: the packages without which its code is not run here."""
PACKAGES = {"hub": "safetensors"}
"""What modules with an extra need whose package is not of their name."""
OURS = "import warnings\nwarnings.resetwarnings()\nwarnings.filterwarnings('error', module='asng|__main__')\n"
"""Before the code of a page: what other tools warn of about themselves is no error."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def exported(module: str) -> list[str]:
    """Return `__all__` of a module as it is written, without the package that the module needs."""
    tree = ast.parse((Path(asng.integrations.__file__).parent / f"{module}.py").read_text())
    written = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__"
    ]
    return list(ast.literal_eval(written[0]))


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, n) for page in PAGES for n in range(len(blocks(page)))],
    ids=lambda x: str(x)[-20:],
)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page, number, run_script, tmp_path):
    for package in " ".join(NEEDS.findall(page.read_text())).split():
        pytest.importorskip(package)
    block = blocks(page)[number]
    printed = run_script(OURS + block, tmp_path).out
    assert printed or "print(" not in block
    for said in re.findall(r"^print\(.*\)  # (.*)$", block, flags=re.MULTILINE):
        pattern = re.escape(said).replace(re.escape(" ..."), r"(\s.*)?").replace(re.escape("..."), ".*")
        assert re.search(f"^{pattern}$", printed, flags=re.DOTALL | re.MULTILINE), said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_page_names_the_packages_that_its_code_needs(page):
    assert NEEDS.search(page.read_text()) or not blocks(page)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module):
    if re.search(rf"^{module} = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE):
        # It has an extra, and imports it where it is used.
        pytest.importorskip(PACKAGES.get(module, module))
    try:
        loaded = importlib.import_module(f"asng.integrations.{module}")
    except ImportError as error:
        pytest.skip(str(error))
    assert doctest.testmod(loaded, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).failed == 0


def test_the_reference_shows_what_the_modules_export():
    page = ROOT / "docs" / "reference" / "integrations.md"
    paths = re.findall(r"^::: (.*)$", page.read_text(), flags=re.MULTILINE) if page.exists() else []
    assert sorted(paths) == sorted(
        f"asng.integrations.{module}.{name}" for module in MODULES for name in exported(module)
    )
