"""An export that cannot be written is an error that names the file; torch's writer would end the process."""

import subprocess
import sys

import pytest

EXPORT = """
import resource, sys, torch
from asng.errors import RunError
from asng.training import save_onnx, save_program

child, example = torch.nn.Linear(100, 100), (torch.ones(2, 100),)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as if the disk were full
try:
    {save}(sys.argv[1], child, example)
except RunError as error:
    print(error)
"""


@pytest.mark.slow  # a process that imports torch and exports
@pytest.mark.parametrize("save", ["save_program", "save_onnx"])
def test_an_export_to_a_full_disk_is_an_error_and_keeps_what_was_there(save, tmp_path):
    path = tmp_path / "child"
    path.write_text("old")
    command = [sys.executable, "-c", EXPORT.format(save=save), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "child: cannot be written: File too large. Free some space" in done.stdout
    assert [one.name for one in tmp_path.iterdir()] == ["child"]
    assert path.read_text() == "old"
