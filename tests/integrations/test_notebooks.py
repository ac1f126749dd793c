"""The notebooks run from top to bottom and show what is in them."""

import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|None")


def shown(notebook):
    """Return what each cell shows: words without their numbers, and whether there is a picture."""
    said = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output.get("evalue")
            data = output.get("data", {"text/plain": output.get("text", "")})
            words = NUMBER.sub("0", data.get("text/plain", ""))
            said.append(("image/png" in data, sorted(set(re.findall(r"[A-Za-z_]{3,}", words)))))
    return said


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["black_box", "first_search", "trained_model"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_in_it(path, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    before = shown(notebook)
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    after = shown(notebook)
    assert len(after) == len(before) >= 4
    for (picture, words), (picture_before, words_before) in zip(after, before, strict=True):
        assert picture == picture_before
        # The found values differ with the machine; the words of tables and classes do not.
        assert len(set(words) ^ set(words_before)) <= 4
