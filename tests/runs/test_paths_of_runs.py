"""Each function that reads what a run wrote names a path that the system cannot look for."""

import pytest

from asng.errors import InputError
from asng.pipeline import retrain_run
from asng.report import read_log, read_run, summary_table, write_report
from asng.training import load_child, load_child_weights

READERS = {
    "read_log": read_log,
    "read_run": read_run,
    "summary_table": summary_table,
    "write_report": write_report,
    "load_child": lambda path: load_child(path, None),
    "load_child_weights": load_child_weights,
    "retrain_run": lambda path: retrain_run(None, None, path),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_path_that_cannot_be_looked_for_is_named(read, tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name, advice in (("x" * 300, "Choose a shorter name"), ("round", "Check the path")):
        with pytest.raises(InputError, match=rf"{name}: cannot be read: .*\. {advice}\."):
            read(tmp_path / name)
