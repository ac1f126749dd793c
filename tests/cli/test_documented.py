"""The example of docs/command-line/own-model.md, run as it stands there."""

import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from asng.cli import main
from asng.cli.main import _parsed

PAGE = (Path(__file__).parents[2] / "docs" / "command-line" / "own-model.md").read_text(encoding="utf-8")
FILES = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
LINES = re.findall(r"^(asng .*?)(?: +#.*)?$", PAGE, flags=re.MULTILINE)
QUICK = ["--epochs", "1", "--retrain-epochs", "1", "--peers", "1", "--quiet"]


IN_PYTHON = """
import torch
from asng import OneShotSearch, nn, supervised
from points.data import loaders
from points.net import Net

search = OneShotSearch(nn.Supernet(Net(16)), supervised(torch.nn.functional.cross_entropy))
train, *_ = loaders()
search.fit(train, epochs=2, run_dir="runs/from_python", progress=False, check=False)
"""


def run(line, capsys):
    line, _, target = line.partition(" > ")
    words = shlex.split(line)[1:]
    if "--run-dir" in words and "--resume" not in words:
        words += QUICK
    elif words[0] == "retrain":
        words += ["--epochs", "1", "--peers", "1", "--quiet"]
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 0, err
    if target:
        Path(target).write_text(out)
    return out


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_commands_work(at_home, capsys):
    commands = [line for line in LINES if not line.startswith("asng search: ")]
    assert len(FILES) == 3
    assert len(commands) == 10
    told = [run(line, capsys) for line in commands[:8]]
    subprocess.run([sys.executable, "-c", IN_PYTHON], check=True)
    told += [run(line, capsys) for line in commands[8:]]
    assert "Units of the hidden layers" in told[1]
    assert "accuracy" in told[5]
    assert "your baseline" in told[7]
    assert all("accuracy" in told[place] for place in (8, 9))  # of what was searched in Python
    assert (at_home / "runs/points/child.onnx").exists()
    assert "width: 32" in (at_home / "runs/wide/config.yaml").read_text()


@pytest.mark.parametrize(
    "words",
    [["--model", "points.net.Nett"], ["--model", "points.net.Net", "--model.width=1", "--model.widht", "64"]],
)
def test_the_documented_errors_are_the_real_ones(words, at_home, capsys):
    with suppress(SystemExit):
        main(["search", "--data", "points.data.loaders", *words])
    assert f"\n{capsys.readouterr().err.splitlines()[0]}\n" in PAGE


ROOT = Path(__file__).parents[2]
SHELL = [
    line
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for block in re.findall(
        r"^```(?:console|sh)\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    for line in re.findall(r"^(asng .*?)(?: +#.*)?$", block.replace("\\\n", ""), flags=re.MULTILINE)
]


@pytest.mark.parametrize(
    "line", sorted({line for line in SHELL if " --model" not in line or "compress" in line})
)
def test_each_documented_command_is_one(line):
    """Of those with a model, whose flags depend on it, the ones of this page and of a tutorial are run."""
    words = shlex.split(line.partition(" > ")[0])[1:]
    if "--help" in words or "--version" in words:
        pytest.skip("it ends the process")
    assert _parsed(words).subcommand == words[0]
