"""A black box needs no torch: what is installed without the extra `nas` works, and all else names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = """\
import sys

class NotInstalled:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)

sys.meta_path.insert(0, NotInstalled)
"""
"""Not None among the modules: scipy would take it for a torch that is imported."""
BLACK_BOX = """\
import asng

def loss(a):
    return (a["x"] - 1.0) ** 2 + (a["kind"] == "worse")

if __name__ == "__main__":
    space = asng.Space({"x": asng.Real(-5.0, 5.0), "kind": asng.Categorical(["worse", "better"])})
    result = asng.minimize(loss, space, 40, workers=2, run_dir="run", seed=0)
    assert result.loss < 0.5, result.loss
    again = asng.minimize(loss, space, 60, workers=2, run_dir="run", resume=True, seed=0)
    assert again.evaluated == 60
    print(again.report())
"""


@pytest.fixture
def without_torch(tmp_path):
    """Give what runs Python where torch cannot be imported, in workers neither."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def run(*words):
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
        )

    return run


def test_minimize_runs_resumes_and_reports_without_torch(without_torch, tmp_path):
    (tmp_path / "black_box.py").write_text(BLACK_BOX)
    done = without_torch("black_box.py")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name == "report.html"


@pytest.mark.parametrize("name", ["OneShotSearch", "nn", "compress"])
def test_what_needs_torch_names_the_extra(without_torch, name):
    done = without_torch("-c", f"import asng; asng.{name}")
    assert f"asng.{name}: expected torch, which is not installed: pip install 'asng[nas]'." in done.stderr


def test_the_command_line_names_the_extra_in_one_line(without_torch):
    done = without_torch("-m", "asng", "search", "--quiet")
    assert done.returncode == 1
    assert done.stderr == "asng search: expected torch, which is not installed: pip install 'asng[nas]'.\n"


def test_what_only_some_black_boxes_need_is_not_imported_before(without_torch):
    names = "{'scipy.stats', 'sklearn', 'matplotlib', 'pandas'}"
    done = without_torch("-c", f"import asng, sys; asng.minimize; print({names} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr
