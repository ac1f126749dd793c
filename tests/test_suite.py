"""The suite itself: what a test sees depends on neither the order nor the worker (tests/conftest.py)."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

TESTS = Path(__file__).parent

NOISY = "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n"
FILE = """
import warnings

def test_that_imports_first():
    import noisy

def test_that_imports_a_module_of_our_own():
    import ours

def test_that_warns():
    warnings.warn("ours", stacklevel=2)
"""


def test_a_module_of_others_that_warns_on_import_fails_no_test_and_our_own_warnings_do(tmp_path):
    others = tmp_path / "site-packages"
    others.mkdir()
    (others / "noisy.py").write_text(NOISY)
    (tmp_path / "ours.py").write_text(NOISY)
    (tmp_path / "test_noise.py").write_text(FILE)
    places = os.pathsep.join(map(str, (TESTS, others, tmp_path)))
    words = ["-q", "-p", "conftest", "-p", "no:cacheprovider", "-c", str(TESTS.parent / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path / "test_noise.py")],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED" in done.stdout
    assert "test_that_imports_first" not in done.stdout


def test_the_list_of_slow_tests_names_tests_that_there_are():
    for line in (TESTS / "slow_tests.txt").read_text().splitlines():
        path, _, test = line.partition("::")
        function = test.partition("[")[0].rpartition("::")[2]
        assert f"def {function}(" in (TESTS.parent / path).read_text(), line


def _drawn():
    return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002


DRAWN = []


def test_what_a_test_draws_begins_anew():
    DRAWN.append(_drawn())
    assert DRAWN[0] == DRAWN[-1]


def test_what_another_test_draws_begins_at_the_same_numbers():
    test_what_a_test_draws_begins_anew()
