"""Measure how easily a reader finds their way through the package, and compare with the targets.

Run `make house`, or `python tools/house.py --list` to see the files and names behind each figure. The exit
code is 1 if a target is missed.
"""

import argparse
import ast
import contextlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

RUN_FOLDER = re.compile(
    r"(^|/)(config\.yaml|log\.jsonl|resumes\.jsonl|checkpoint(\.previous)?\.pt|architecture\.json|graphs\.json"
    r"|pictures\.json|child\.pt|result\.json|summary\.json|toy\.json|benchmark\.jsonl|report\.html)$"
)
"""A string that names a file of a run folder. Sentences that mention one do not count."""


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        name: What is counted.
        measured: The count.
        aim: The target, as words and as a test; None if there is no target.
        details: What `--list` prints.
    """

    name: str
    measured: float
    aim: tuple[str, Callable[[float], bool]] | None = None
    details: list[str] = field(default_factory=list)

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is missed."""
        return self.aim is not None and not self.aim[1](self.measured)


def at_most(most: int) -> tuple[str, Callable[[float], bool]]:
    """Return a target with an upper bound."""
    return f"at most {most:,}", lambda measured: measured <= most


def at_least(least: int) -> tuple[str, Callable[[float], bool]]:
    """Return a target with a lower bound."""
    return f"at least {least:,}", lambda measured: measured >= least


class Package:
    """The modules of a package, read but not imported.

    Args:
        src: The folder that holds the package.
        name: Its name.

    Attributes:
        files: The path of each module by its dotted name.
        edges: For each module, the modules that it imports. `from room import name` imports the module that
            defines the name. Imports in functions and for type checkers count too.
    """

    def __init__(self, src: Path, name: str) -> None:
        self.src, self.name = src, name
        self.files = {_dotted(path.relative_to(src)): path for path in sorted((src / name).rglob("*.py"))}
        self.trees = {module: ast.parse(path.read_bytes()) for module, path in self.files.items()}
        self.lines = {
            module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in self.files.items()
        }
        self.chapters = [module for module, path in self.files.items() if path.stem != "__init__"]
        self._exports = {module: dict(self._imports(module)) for module in self.files}
        self.edges = {module: self._edges(module) for module in self.files}

    def _imports(self, module: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
        """Yield each name that a module binds by an import, and the module and name that it comes from."""
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if self._is_ours(alias.name):
                        bound = alias.name if alias.asname else alias.name.partition(".")[0]
                        yield alias.asname or bound, (bound, None)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and self._is_ours(node.module or ""):
                for alias in node.names:
                    yield alias.asname or alias.name, (str(node.module), alias.name)

    def _is_ours(self, dotted: str) -> bool:
        return dotted.partition(".")[0] == self.name

    def _home(self, module: str, name: str | None) -> str:
        """Return the module that defines a name, following packages that re-export it."""
        while name is not None:
            if f"{module}.{name}" in self.files:
                return f"{module}.{name}"
            passed_on = self._exports.get(module, {}).get(name)
            if passed_on is None or passed_on == (module, name):
                break
            module, name = passed_on
        return module

    def _edges(self, module: str) -> set[str]:
        """Return the modules that a module imports."""
        tree = self.trees[module]
        through: dict[str, list[str]] = defaultdict(list)  # `alias.name`, by alias
        loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and (path := _path(node)) is not None:
                through[path[0]].append(path[1])
        found = set()
        for bound, (source, name) in self._imports(module):
            if self.files[module].stem == "__init__" and bound not in loaded:
                continue  # re-exported, not used
            home = self._home(source, name)
            if self.files.get(home, Path("x")).stem == "__init__" and home in (source, f"{source}.{name}"):
                used = {self._walk(home, path) for path in through[bound]}
                found |= used or {home}
            else:
                found.add(home)
        for node in ast.walk(tree):  # `import asng.room.file` imports the file even if only `asng` is bound
            if isinstance(node, ast.Import):
                found |= {
                    alias.name for alias in node.names if alias.name in self.files and "." in alias.name
                }
        return (found & self.files.keys()) - {module}

    def _walk(self, module: str, path: str) -> str:
        """Return the module that defines `module.a.b`."""
        for name in path.split("."):
            inner = self._home(module, name)
            if self.files.get(inner, Path("x")).stem != "__init__" or inner == module:
                return inner
            module = inner
        return module

    def circles(self) -> list[list[str]]:
        """Return the groups of modules that import each other, directly or through others."""
        reached = {module: _reachable(self.edges, module) for module in self.files}
        groups = {
            tuple(sorted({module} | {other for other in reached[module] if module in reached[other]}))
            for module in self.files
        }
        return [list(group) for group in sorted(groups) if len(group) > 1]

    def importers(self) -> dict[str, list[str]]:
        """Return the importers of each module, without packages that only re-export names."""
        found: dict[str, list[str]] = {module: [] for module in self.chapters}
        for module, imported in self.edges.items():
            for other in imported & found.keys():
                found[other].append(module)
        return found

    def classes(self) -> dict[str, list[str]]:
        """Return the modules that define each class name."""
        found = defaultdict(list)
        for module, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(module)
        return found

    def run_folder_names(self) -> dict[str, list[str]]:
        """Return the names of run-folder files that each module spells out."""
        found = {}
        for module, tree in self.trees.items():
            said = {text for text in _strings(tree) if RUN_FOLDER.search(text) and " " not in text}
            if said:
                found[module] = sorted(said)
        return found


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(node: ast.Attribute) -> tuple[str, str] | None:
    """Return ("a", "b.c") for the expression `a.b.c`."""
    names: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    return (inner.id, ".".join(reversed(names))) if isinstance(inner, ast.Name) else None


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    open_ = [start]
    while open_:
        for other in edges[open_.pop()] - seen:
            seen.add(other)
            open_.append(other)
    return seen


def _strings(tree: ast.Module) -> Iterator[str]:
    """Yield the strings of a module, without docstrings."""
    bare = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


def counted(package: Package) -> list[Figure]:
    """Return the figures that can be counted without running the package."""
    circles = package.circles()
    lines = {module: package.lines[module] for module in package.chapters}
    by_length = sorted(lines, key=lines.__getitem__)
    once = {module: found[0] for module, found in package.importers().items() if len(found) == 1}
    classes = {name: found for name, found in package.classes().items() if len(found) > 1}
    stems = Counter(package.files[module].stem for module in package.chapters)
    doubles = {stem: [m for m in package.chapters if package.files[m].stem == stem] for stem in stems}
    doubles = {stem: found for stem, found in doubles.items() if len(found) > 1}
    names = package.run_folder_names()
    return [
        Figure("import circles", len(circles), at_most(0), [" <-> ".join(circle) for circle in circles]),
        Figure("files beside __init__", len(lines), at_most(210)),
        Figure("lines of the median file", statistics.median(lines.values()), at_least(110)),
        Figure(
            "lines of the longest file",
            max(lines.values()),
            at_most(450),
            [f"{lines[module]} {module}" for module in by_length[:-6:-1]],
        ),
        Figure(
            "files with exactly one importer",
            len(once),
            None,
            [f"{lines[module]:4} {module}, by {once[module]}" for module in by_length if module in once],
        ),
        Figure("names of classes that stand twice", len(classes), at_most(0), _places(classes)),
        Figure("names of files that stand twice", len(doubles), None, _places(doubles)),
        Figure("files that name files of a run folder", len(names), at_most(1), _places(names)),
        Figure("lines of src", sum(package.lines.values()), at_most(26_000)),
    ]


def _places(found: dict[str, list[str]]) -> list[str]:
    return [f"{name}: {', '.join(places)}" for name, places in sorted(found.items())]


def entered(package: Package, what: str) -> list[str]:
    """Return the files whose functions are entered in a step, and those in `asng search` up to the report."""
    words = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--trace", what]
    settings = {**os.environ, "PYTHONPATH": str(package.src), "MPLBACKEND": "agg"}
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"house.py: {what} did not run:\n{done.stderr[-2000:]}")
    paths = json.loads(done.stdout.splitlines()[-1])
    return [str(Path(path).relative_to(package.src.resolve())) for path in paths]


class Tracer:
    """Records the files of the package whose functions are entered; `with` begins and ends the recording.

    Code that runs during the import of a module is left out, and so is `__init__.py`.

    Args:
        within: Record only the third call of a function of this name. Default: everything.
    """

    def __init__(self, within: str | None = None) -> None:
        import asng

        self.files: set[str] = set()
        self._root = str(Path(asng.__file__).resolve().parent)
        self._within = within
        self._calls = 0
        self._inside: FrameType | None = None
        self._importing = 0
        self._ours = cache(self._file_of)

    def __enter__(self) -> "Tracer":
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _file_of(self, filename: str) -> str:
        """Return the path of a file of the package, "" for any other file."""
        path = str(Path(filename).resolve()) if filename.endswith(".py") else ""
        return path if path.startswith(self._root) else ""

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if code.co_name == "<module>":
            self._importing += 1 if event == "call" else -1
        elif path := self._ours(code.co_filename):
            if event == "call" and code.co_name == self._within:
                self._calls += 1
                if self._calls == 3:
                    self._inside = frame
            wanted = self._within is None or self._inside is not None
            if event == "call" and wanted and not self._importing and not path.endswith("__init__.py"):
                self.files.add(path)
            if event == "return" and frame is self._inside:
                self._inside = None


def trace_step(folder: str) -> set[str]:
    """Search a small supernet for a few steps; return the files entered by the third step."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    import asng
    from asng.supernets import EnasCellNetwork

    torch.manual_seed(0)
    net = EnasCellNetwork(in_channels=1, classes=3, image_size=8, cells=3, nodes=2, channels=2)
    data = TensorDataset(torch.randn(32, 1, 8, 8), torch.randint(3, (32,)))
    train, valid = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=4)
    loss = asng.supervised(torch.nn.functional.cross_entropy)
    search = asng.OneShotSearch(asng.nn.Supernet(net), loss, warmup=0.0)
    with Tracer(within="one_step") as tracer:
        search.fit(train, valid, epochs=1, run_dir=folder, progress=False)
    return tracer.files


def trace_search(folder: str) -> set[str]:
    """Run the smallest `asng search` on the embedded images; return the files that it enters."""
    from asng.cli import main

    words = (
        "--cells 3 --nodes 1 --channels 2 --batch-size 250 --epochs 1 --retrain-epochs 1 --peers 1 --quiet"
    )
    with Tracer() as tracer, contextlib.redirect_stdout(io.StringIO()):
        done = main(["search", "--run-dir", folder, "--overwrite", *words.split()])
    if done:
        raise SystemExit(f"asng search ended with {done}")
    return tracer.files


TRACES = {"step": trace_step, "search": trace_search}


def walked(package: Package) -> list[Figure]:
    """Return the figures that need a run of the package."""
    step, search = entered(package, "step"), entered(package, "search")
    return [
        Figure("files that one search step enters", len(step), at_most(20), step),
        Figure("files that asng search enters, to the report", len(search), None, search),
    ]


def show(figures: list[Figure], *, details: bool) -> None:
    """Print the figures beside their targets."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        aim = "" if figure.aim is None else f"   {figure.aim[0]}{'   MISSED' if figure.missed else ''}"
        print(f"{figure.name:{width}}  {figure.measured:8,g}{aim}")
        if details:
            for line in figure.details:
                print(f"    {line}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--src", type=Path, default=Path(__file__).parents[1] / "src", help="default: ../src")
    parser.add_argument("--package", default="asng", help="default: asng")
    parser.add_argument("--list", action="store_true", help="print what is behind each figure")
    parser.add_argument("--static", action="store_true", help="run nothing, only read")
    parser.add_argument("--trace", choices=TRACES, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.trace:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(sorted(TRACES[given.trace](folder))))
        return 0
    if not (given.src / given.package).is_dir():
        raise SystemExit(f"--src: expected a folder with {given.package}/ in it, got {given.src}.")
    package = Package(given.src, given.package)
    figures = counted(package) + ([] if given.static else walked(package))
    show(figures, details=given.list)
    return int(any(figure.missed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
