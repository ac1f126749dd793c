"""Which folders a run may use, and what it removes there."""

import pytest

from asng.cli import main
from asng.errors import RunError
from asng.runs.folder import refuse_earlier_run, remove_run


def test_the_file_that_counts_as_a_run_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(RunError, match=r"already contains a run \(checkpoint.pt\)\. Pass resume=True"):
        refuse_earlier_run(tmp_path)


@pytest.mark.parametrize("text", ["lr: 0.1\n", "[a, b]", "a: *b", "task: [1]"])
def test_settings_of_another_program_are_not_removed(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "log.jsonl").touch()
    with pytest.raises(
        RunError, match=r"config.yaml: .*\. It is none of asng's: remove it yourself, or choose"
    ):
        remove_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "log.jsonl"]
    remove_run(tmp_path, ["log.jsonl"])
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("command", ["search", "classify", "toy", "benchmark", "compress"])
def test_an_empty_name_is_not_the_current_folder(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([command, "--run-dir", ""]) == 1
    assert "run_dir: expected a folder, got an empty name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
