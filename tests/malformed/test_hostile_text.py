"""What a stranger wrote into a run folder reaches the terminal, and the page, as letters and nothing else."""

import json

import pytest
from malformed.folders import FOLDERS

from asng.cli.main import main

KINDS = [kind for kind in FOLDERS if kind not in ("search", "several seeds")]  # those search for real first
HOSTILE = "\x1b[2J\x9b2J\rno\u202e\ud800"
"""Clears the screen in two ways, writes over the line, turns the direction of writing, cannot be encoded."""


def _spoilt(value, end):
    """Put `end` after all strings in it but words that say what a line is."""
    if isinstance(value, dict):
        return {
            name: value[name] if name in ("event", "kind") else _spoilt(value[name], end) for name in value
        }
    if isinstance(value, list):
        return [_spoilt(part, end) for part in value]
    return value + end if isinstance(value, str) else value


def _spoil(path, end):
    rows = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
    path.write_text("".join(json.dumps(_spoilt(json.loads(row), end)) + "\n" for row in rows))


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_prints_no_control_character(kind, tmp_path, capsys):
    FOLDERS[kind].write(tmp_path)
    for path in [*tmp_path.rglob("*.json"), *tmp_path.rglob("*.jsonl")]:
        _spoil(path, HOSTILE)
    code = main(["report", str(tmp_path)])
    said = "".join(capsys.readouterr())
    assert (code == 0) == (tmp_path / "report.html").exists()
    assert code == 0 or "expected" in said
    assert not any(letter in said for letter in HOSTILE if not letter.isprintable())


def test_an_error_about_a_name_prints_no_control_character(tmp_path, capsys):
    assert main(["report", str(tmp_path / "\x1b[2J")]) == 1
    assert "\x1b" not in "".join(capsys.readouterr())
