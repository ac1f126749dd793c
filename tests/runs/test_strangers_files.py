"""What lies in a run folder under the name of a file, and is none, or holds more than it may."""

import json
import os
from pathlib import Path

import pytest
from malformed.judge import within

from asng.cli.tell import KINDS
from asng.errors import RunError
from asng.pipeline.retrain import read_architecture
from asng.report import read_run, summary_table, write_report
from asng.runs import guarded
from asng.runs.checkpoint import load_checkpoint
from asng.runs.folder import note_resume, read_config, resumes_of
from asng.runs.log import JsonLines, read_lines, refuse_running
from asng.runs.stored import read_json
from asng.training import load_child_weights
from malformed import whole


def _report(folder):
    write_report(folder, kinds=KINDS)


READERS = {
    "log.jsonl": _report,
    "log.jsonl, table": lambda folder: summary_table(folder, kinds=KINDS),
    "log.jsonl, resumed": lambda folder: JsonLines(folder / "log.jsonl"),
    "log.jsonl, resumed from a checkpoint": lambda folder: JsonLines(folder / "log.jsonl", keep=0),
    "log.jsonl, overwritten": lambda folder: refuse_running(folder / "log.jsonl"),
    "resumes.jsonl": resumes_of,
    "resumes.jsonl, noted": lambda folder: note_resume(folder, step=1),
    "config.yaml": _report,
    "config.yaml, resumed": read_config,
    "result.json": _report,
    "architecture.json": _report,
    "architecture.json, retrained": read_architecture,
    "graphs.json": _report,
    "pictures.json": _report,
    "summary.json": _report,
    "toy.json": _report,
    "benchmark.jsonl": _report,
    "compression.jsonl": lambda folder: JsonLines(folder / "compression.jsonl"),
    "compression.json": lambda folder: ((folder / "compression.jsonl").touch(), _report(folder)),
    "checkpoint.pt": lambda folder: load_checkpoint(folder / "checkpoint.pt"),
    "checkpoint.previous.pt": lambda folder: load_checkpoint(folder / "checkpoint.pt"),
    "child.pt": lambda folder: load_child_weights(folder / "child.pt"),
}


def _link_to_a_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


IMPOSTORS = {
    "a pipe": os.mkfifo,
    "a link to a pipe": _link_to_a_pipe,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", IMPOSTORS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_plain_file_is_refused_at_once(reader, kind, tmp_path):
    name = reader.partition(",")[0]
    whole.write_run(tmp_path)
    path = tmp_path / name
    path.unlink(missing_ok=True)
    IMPOSTORS[kind](path)
    with within(1.0), pytest.raises(RunError, match=rf"{name}.*(plain file|truncated or foreign)"):
        READERS[reader](tmp_path)


def test_a_log_is_not_written_through_a_link(tmp_path):
    theirs, link = tmp_path / "thesis.tex", tmp_path / "run" / "log.jsonl"
    theirs.write_text("chapter one")
    link.parent.mkdir()
    link.symlink_to(theirs)
    with pytest.raises(RunError, match="expected a plain file, got a link"):
        JsonLines(link, keep=0)
    assert theirs.read_text() == "chapter one"


def test_a_page_is_not_written_through_a_link_to_a_folder(tmp_path):
    run, theirs = tmp_path / "run", tmp_path / "theirs"
    run.mkdir()
    theirs.mkdir()
    (theirs / "report.html").write_text("mine")
    whole.write_seeds(run)
    (run / "seed-0").symlink_to(theirs)
    write_report(run)
    assert (theirs / "report.html").read_text() == "mine"


def test_a_link_to_a_plain_file_is_read(tmp_path):
    whole.write_run(tmp_path)
    (tmp_path / "result.json").rename(tmp_path / "elsewhere")
    (tmp_path / "result.json").symlink_to("elsewhere")
    assert read_run(tmp_path).result.metric == "accuracy"


def test_a_file_is_as_large_as_it_may_be_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "LARGEST", 40)
    path = tmp_path / "result.json"
    path.write_text(json.dumps("x" * 38))
    assert read_json(path) == "x" * 38
    path.write_text(json.dumps("x" * 39))
    with pytest.raises(RunError, match=r"result.json: expected at most 40 bytes, got 41"):
        read_json(path)


def test_a_line_is_as_long_as_it_may_be_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "LARGEST", 30)
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n' + json.dumps({"a": "x" * 40}) + "\n")
    with pytest.raises(RunError, match=r"log.jsonl, line 2: expected at most 30 bytes"):
        read_run(tmp_path)
    with pytest.raises(RunError, match=r"log.jsonl, line 2: expected at most 30 bytes"):
        JsonLines(path)


@pytest.mark.parametrize(("bound", "most"), [("LARGEST", 45), ("MOST_HELD", 9)])
def test_a_log_whose_rows_are_kept_is_bounded_as_a_whole(bound, most, tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, bound, most)
    path = tmp_path / "compression.jsonl"
    path.write_text('{"a": [1, 2]}\n' * 3)
    assert len(read_lines(path)) == 3
    path.write_text('{"a": [1, 2]}\n' * 4)
    for read in (read_lines, JsonLines):
        with pytest.raises(RunError, match=rf"compression.jsonl: expected at most .*{most}.* in all"):
            read(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "LARGEST", 30)
    log = JsonLines(tmp_path / "log.jsonl")
    with pytest.raises(RunError, match=r"log.jsonl: expected a line of at most 30 bytes, got 50"):
        log.append({"a": "x" * 40})
    log.close()
    assert (tmp_path / "log.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 65 + "]" * 65, "at most 64 levels"),
        ('{"a":' * 65 + "1" + "}" * 65, "at most 64 levels"),
        (json.dumps(['"', "\\", '\\"[[[', *["["] * 90]) + "]", None),  # brackets within strings are none
        ("[" * 64 + "]" * 64, None),
        ("[" + "[]," * 70 + "[]]", None),
        ("[" + "1," * 120 + "1]", "at most 100 values"),
        ("[" + "[]," * 60 + "[]]", None),
    ],
)
def test_depth_and_number_of_values_are_bounded_before_they_are_made(text, fault, monkeypatch):
    monkeypatch.setattr(guarded, "MOST_VALUES", 100 if fault and "values" in fault else 10**6)
    if fault is None:
        guarded.refuse_excess(text.encode())
    else:
        with pytest.raises(ValueError, match=fault):
            guarded.refuse_excess(text.encode())
