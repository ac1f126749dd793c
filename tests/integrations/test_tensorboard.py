"""A search in event files, read back by TensorBoard."""

import pytest
from problems import fit, searcher, stopping

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asng.cli import main
from asng.integrations.tensorboard import TensorBoardCallback


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def steps(events, name):
    return [scalar.step for scalar in events.Scalars(name)]


def test_the_curves_and_the_found_architecture_are_there(tmp_path):
    result = fit(searcher(callbacks=[TensorBoardCallback(tmp_path)]), epochs=1)
    events = read(tmp_path)
    assert steps(events, "train/loss") == [1, 2, 3, 4, 5, 6]
    assert steps(events, "asng/objective") == [4, 5, 6]
    assert set(events.Tags()["scalars"]) >= {
        "train/learning_rate",
        "asng/entropy",
        "asng/delta",
        "time/step_seconds",
        "theta/a/max_probability",
        "theta/b/entropy",
        "result/seconds",
    }
    text = events.Tensors("architecture/found/text_summary")[0].tensor_proto.string_val[0].decode()
    assert result.architecture.to_json() in text
    assert events.Tensors("status/text_summary")[0].tensor_proto.string_val == [b"finished"]


def test_a_resumed_search_continues_the_curves(tmp_path):
    def search(**more):
        return searcher(callbacks=[TensorBoardCallback(tmp_path / "curves")], **more)

    with pytest.raises(KeyboardInterrupt):
        fit(search(loss=stopping(3)), epochs=1, run_dir=tmp_path / "run")
    fit(search(), epochs=1, run_dir=tmp_path / "run", resume=True)
    assert steps(read(tmp_path / "curves"), "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_new_search_hides_the_curves_of_an_earlier_one(tmp_path):
    for epochs in (2, 1):
        fit(searcher(callbacks=[TensorBoardCallback(tmp_path)]), epochs=epochs)
    assert steps(read(tmp_path), "train/loss") == [1, 2, 3, 4, 5, 6]


def test_events_are_on_the_disk_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(3), callbacks=[TensorBoardCallback(tmp_path)]))
    assert steps(read(tmp_path), "train/loss") == [1, 2, 3]


def test_the_command_line_logs_into_the_run_folder(tmp_path):
    words = (
        "search --epochs 1 --retrain-epochs 0 --peers 0 --nodes 1 --final 0 --quiet --callback tensorboard"
    )
    assert main([*words.split(), "--run-dir", str(tmp_path)]) == 0
    assert len(steps(read(tmp_path / "tensorboard"), "train/loss")) > 5
