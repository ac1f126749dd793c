"""asng toy, in a grid of moments."""

import json

import pytest
import yaml
from command_lines import fails

from asng.cli import main

WORDS = [
    *("--variables", "3", "--choices", "3", "--iterations", "30", "--exponents", "[0, 0.5]"),
    *("--learning-rates", "[0.05]", "--seeds", "2", "--workers", "1", "--quiet"),
]


def toy(folder, *words):
    return main(["toy", "--run-dir", str(folder), *WORDS, *words])


def cells(folder):
    return json.loads((folder / "toy.json").read_text())["cells"]


def test_the_grid_is_run_reported_and_told(tmp_path, capsys):
    folder = tmp_path / "run"
    assert toy(folder, "--seed", "7") == 0
    out = capsys.readouterr().out
    assert "Over all step sizes and learning rates (12 runs)" in out
    assert str(folder / "report.html") in out
    assert [row["seeds"] for row in cells(folder)] == [[7, 8]] * 6
    assert yaml.safe_load((folder / "config.yaml").read_text())["toy"]["exponents"] == [0, 0.5]


def test_asng_report_makes_the_page_again(tmp_path, capsys):
    folder = tmp_path / "run"
    toy(folder)
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert main(["report", str(folder)]) == 0
    assert (folder / "report.html").read_text() == before
    assert "Over all step sizes" in capsys.readouterr().out


def test_resume_takes_the_settings_from_the_folder(tmp_path):
    folder = tmp_path / "run"
    toy(folder)
    whole = cells(folder)
    data = json.loads((folder / "toy.json").read_text())
    (folder / "toy.json").write_text(json.dumps({**data, "cells": whole[:1]}))
    assert main(["toy", "--run-dir", str(folder), "--resume", "--workers", "1", "--quiet"]) == 0
    assert cells(folder) == whole


def test_an_earlier_run_stays_unless_it_is_to_be_replaced(tmp_path, capsys):
    folder = tmp_path / "run"
    toy(folder)
    error = fails(["toy", "--run-dir", str(folder), *WORDS], capsys)
    assert "already contains a run" in error
    assert error.count("\n") == 1
    assert toy(folder, "--overwrite", "--methods", "[Adam]") == 0
    assert {row["method"] for row in cells(folder)} == {"Adam"}


def test_the_printed_config_is_taken_back(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["toy", *WORDS, "--print_config"])
    text = capsys.readouterr().out
    (tmp_path / "toy.yaml").write_text(text)
    words = ["--config", str(tmp_path / "toy.yaml"), "--run-dir", str(tmp_path / "run")]
    assert main(["toy", *words]) == 0
    assert len(cells(tmp_path / "run")) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--iterations", "0"], "iterations: expected an integer >= 1, got 0"),
        (["--choices", "1"], "choices: expected an integer >= 2, got 1"),
        (["--exponents", "[]"], "exponents: expected one or more different values, got []"),
        (["--exponents", "[1, 1]"], "exponents: expected one or more different values"),
        (["--learning-rates", "[-1]"], "learning_rates: expected a number in (0.0, 1000.0], got -1"),
        (["--seeds", "0"], "seeds: expected an integer >= 1, got 0"),
        (["--seed", "-1"], "seed: expected an integer >= 0, got -1"),
        (["--workers", "0"], "workers: expected an integer >= 1, got 0"),
    ],
)
def test_unfit_settings_are_one_line_and_leave_no_folder(words, message, tmp_path, capsys):
    folder = tmp_path / "run"
    error = fails(["toy", "--run-dir", str(folder), *WORDS, *words], capsys)
    assert message in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_a_wrong_method_and_a_wrong_flag_are_named(tmp_path, capsys):
    assert "ASGN" in fails(["toy", "--methods", "[ASGN]"], capsys, code=2)
    assert "Did you mean '--exponents'?" in fails(["toy", "--exponants", "[1]"], capsys, code=2)


def test_folders_of_others_are_refused(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("task: classification\n")
    error = fails(["toy", "--run-dir", str(tmp_path), "--resume"], capsys)
    assert "expected a run of the toy problem, got the task 'classification'" in error
    toy(tmp_path, "--overwrite")
    capsys.readouterr()
    assert "expected the run of a search" in fails(["evaluate", str(tmp_path)], capsys)


def test_nowhere_to_resume_is_an_error(tmp_path, capsys):
    error = fails(["toy", "--run-dir", str(tmp_path / "nothing"), "--resume"], capsys)
    assert "expected a run folder" in error
    assert not (tmp_path / "nothing").exists()
