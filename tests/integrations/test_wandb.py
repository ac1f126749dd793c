"""A search in Weights & Biases, offline: what it wrote to the disk is read back."""

import json
import struct
import time

import pytest
from problems import fit, searcher, stopping

pytest.importorskip("wandb")

from wandb.proto import wandb_internal_pb2

from asng.integrations.wandb import WandbCallback

pytestmark = pytest.mark.filterwarnings("ignore:::wandb", "ignore:::pydantic")  # of their own parts


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)


def logger(folder, **more):
    return WandbCallback("widths", mode="offline", folder=str(folder), **more)


def written(path):
    """Yield the records of a file: LevelDB's log in blocks of 32 KiB, after seven bytes that name it."""
    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several parts
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def name(item):
    return "/".join(item.nested_key) or item.key


def runs_in(folder, patience=30.0):
    """Return id, history, summary and exit code of each run, once W&B's own process has written them out."""
    end, runs = time.monotonic() + patience, _runs_in(folder)
    while not all("exit" in run for run in runs) and time.monotonic() < end:
        time.sleep(0.1)
        runs = _runs_in(folder)
    return runs


def _runs_in(folder):
    runs = []
    paths = (folder / "wandb").glob("offline-run-*/*.wandb")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime):
        run = {"history": [], "summary": {}}
        for record in written(path):
            match record.WhichOneof("record_type"):
                case "run":
                    run["id"] = record.run.run_id
                case "exit":
                    run["exit"] = record.exit.exit_code
                case "history":
                    run["history"].append({name(i): json.loads(i.value_json) for i in record.history.item})
                case "summary":
                    run["summary"] |= {name(i): json.loads(i.value_json) for i in record.summary.update}
        runs.append(run)
    return runs


def steps(run, figure):
    return [line["step"] for line in run["history"] if figure in line]


def test_history_and_summary_are_there(tmp_path):
    result = fit(searcher(callbacks=[logger(tmp_path)]), epochs=1)
    (run,) = runs_in(tmp_path)
    assert steps(run, "train/loss") == [1, 2, 3, 4, 5, 6]
    assert steps(run, "theta/a/entropy") == [1, 2, 3, 4, 5, 6]
    assert steps(run, "result/seconds") == [6]
    assert result.architecture.to_json() in run["summary"]["architecture/found"]
    assert run["exit"] == 0


def test_a_resumed_search_has_the_id_of_its_run(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(3), callbacks=[logger(tmp_path)]), epochs=1, run_dir=tmp_path / "run")
    fit(searcher(callbacks=[logger(tmp_path)]), epochs=1, run_dir=tmp_path / "run", resume=True)
    first, second = runs_in(tmp_path)
    assert first["id"] == second["id"]
    assert (first["exit"], second["exit"]) == (1, 0)
    assert steps(first, "train/loss") + steps(second, "train/loss") == [1, 2, 3, 4, 5, 6]
