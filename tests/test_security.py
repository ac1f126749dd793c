"""What docs/security.md promises of the code: nothing in it unpickles, evaluates, or trusts YAML."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "asng"
FILES = sorted(SRC.rglob("*.py"))

PICKLING = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNPICKLING = {"Unpickler", "load", "loads"}
RUNNING = {"__import__", "compile", "eval", "exec"}
SHELL = {
    "os.popen",
    "os.system",
    "shutil.unpack_archive",
    "tempfile.mktemp",
    "torch.hub.load",
    "torch.jit.load",
}
SAFE_LOADERS = {"CSafeLoader", "SafeLoader", "_LOADER", "yaml.CSafeLoader", "yaml.SafeLoader"}


def faults(source: str) -> list[str]:
    """Return what in a source could run what a file holds, a line each."""
    found = []
    unpacks = "tarfile" in source or "zipfile" in source
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            names = {f"{module}.{alias.name}".lstrip(".") for alias in node.names}
            roots = {name.split(".")[0] for name in names} | {module.split(".")[0]}
            # Writing a pickle harms nobody: black_box asks whether a function can go to another process.
            wrong = roots & (PICKLING - {"pickle"}) or (module == "pickle" and "pickle")
            found += [f"line {node.lineno}: import of {wrong}"] if wrong else []
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            fault = _of_call(name, {k.arg: ast.unparse(k.value) for k in node.keywords})
            if name.endswith(".extractall") or (unpacks and name.endswith(".extract")):
                fault = f"{name}: unpacks an archive to the disk"
            found += [f"line {node.lineno}: {fault}"] if fault else []
    return found


def _of_call(name: str, given: dict[str | None, str]) -> str:
    last = name.split(".")[-1]
    match name.split("."):
        case ["torch", "load"]:
            return "" if given.get("weights_only") == "True" else "torch.load without weights_only=True"
        case ["pickle", "Unpickler" | "load" | "loads"]:
            return "unpickling"
        case ["np" | "numpy", "load"]:
            return "" if given.get("allow_pickle", "False") == "False" else "np.load of pickles"
        case ["yaml", "load" | "load_all"]:
            return (
                "" if given.get("Loader") in SAFE_LOADERS else "yaml.load by another loader than the safe one"
            )
        case ["yaml", *_] if last.startswith(("unsafe_", "full_")):
            return f"yaml.{last}"
        case [single] if single in RUNNING:
            return single
    if given.get("shell") == "True" or name in SHELL or last in ("read_pickle", "from_pickle"):
        return name
    return "allow_pickle" if given.get("allow_pickle") == "True" else ""


IMPORTS = {"import_module", "importlib.import_module", "pkgutil.resolve_name", "resolve_name"}
IMPORTING = {
    "__init__.py",  # public names, when first asked for
    "checks.py",  # libraries of an extra, by names in the code
    "tasks/user/importing.py",  # what settings name
}


def imported_by_name(source: str) -> list[str]:
    """Return the imports of modules whose names do not stand in the source."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [node for node in calls if ast.unparse(node.func) in IMPORTS]
    return [ast.unparse(node) for node in named if not isinstance(node.args[0], ast.Constant)]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_one_place_imports_what_is_named(file):
    if file.relative_to(SRC).as_posix() not in IMPORTING:
        assert imported_by_name(file.read_text(encoding="utf-8")) == []


def test_the_check_of_imports_sees_what_it_is_for():
    assert imported_by_name("import_module(config['data'])") == ["import_module(config['data'])"]
    assert imported_by_name("import_module('matplotlib')") == []


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_nothing_in_the_package_runs_what_a_file_holds(file):
    text = file.read_text(encoding="utf-8")
    assert faults(text) == []
    # Autoescape off, or text that is said to be safe, would let a label be a script.
    assert "autoescape=False" not in text
    assert "Markup(" not in text or "report" in file.parts


@pytest.mark.parametrize(
    "source",
    [
        *("torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, weights_only=flag)"),
        *(
            "pickle.load(f)",
            "pickle.loads(b)",
            "pickle.Unpickler(f)",
            "from pickle import loads",
            "import dill",
        ),
        *(
            "np.load(p, allow_pickle=True)",
            "numpy.load(p, allow_pickle=x)",
            "yaml.load(t)",
            "yaml.full_load(t)",
        ),
        *("yaml.load(t, Loader=yaml.Loader)", "yaml.unsafe_load(t)", "eval(t)", "exec(t)", "__import__(t)"),
        *(
            "archive.extractall(p)",
            "import tarfile; archive.extract(m)",
            "subprocess.run(t, shell=True)",
            "os.system(t)",
        ),
        *("torch.hub.load(r)", "import joblib", "pandas.read_pickle(p)", "compile(t, '', 'exec')"),
    ],
)
def test_the_check_sees_what_it_is_for(source):
    assert faults(source) != []


@pytest.mark.parametrize(
    "source",
    [
        *(
            "torch.load(p, weights_only=True)",
            "np.load(p)",
            "yaml.safe_load(t)",
            "yaml.load(t, Loader=_LOADER)",
        ),
        *(
            "pickle.dumps(f)",
            "model.eval()",
            "re.compile(t)",
            "import pickle",
            "json.loads(t)",
            "supernet.extract(a)",
        ),
    ],
)
def test_the_check_lets_what_is_harmless_pass(source):
    assert faults(source) == []


def test_no_template_switches_the_escaping_off():
    for template in (SRC / "report" / "templates").glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", ""), template.name
        assert "autoescape" not in text, template.name
        assert "<script" not in text, template.name


def test_one_line_alone_says_what_of_a_page_is_no_text():
    marked = [path.relative_to(SRC).as_posix() for path in FILES if "Markup(" in path.read_text()]
    assert marked == ["report/figures/svg.py"]
    assert (SRC / marked[0]).read_text().count("Markup(") == 1
