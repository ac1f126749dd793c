"""What benchmarks/peers/nni_step.py does without NNI: turns with another process, and the figures."""

import re
import sys
from contextlib import closing

import pytest

from benchmarks.peers import nni_step
from benchmarks.peers.nni_peer import INNER, REQUIREMENTS, NniStep

PEER = f"""
import os, sys
sys.path.insert(0, {str(INNER.parent)!r})
from inner import Enough, Turns

turns = Turns(sys.stdin, sys.stdout)
turns.tell(versions={{"nni": "none"}}, parameters=3)
taken = 0
try:
    while True:
        turns.begin()
        taken += 1
        with open(os.path.join(os.path.dirname(__file__), "taken"), "w") as file:
            file.write(str(taken))
        turns.end()
except Enough:
    pass
"""


def _script(folder, text):
    path = folder / "peer.py"
    path.write_text(text)
    return path


def _peer(script):
    return NniStep(sys.executable, "random", threads=1, script=script)


def test_the_other_process_takes_a_step_when_it_is_told_to_and_no_other(tmp_path):
    taken = tmp_path / "taken"
    with closing(_peer(_script(tmp_path, PEER))) as peer:
        assert peer.versions == {"nni": "none"}
        assert peer.parameters == 3
        assert not taken.exists()
        assert [peer.step() > 0.0, peer.step() > 0.0] == [True, True]
        assert 0.001 < peer.peak_gb() < 1.0
        assert taken.read_text() == "2"
    assert taken.read_text() == "2"


@pytest.mark.parametrize("when", ["at the start", "in a step"])
def test_a_process_that_ends_is_an_error_that_says_what_to_install(tmp_path, when):
    text = "sys.exit(3)" if when == "at the start" else PEER.replace("taken += 1", "sys.exit(3)")
    script = _script(tmp_path, "import sys\n" + text)
    with pytest.raises(RuntimeError, match=f"exit code 3.*{re.escape(str(REQUIREMENTS))}"):  # noqa: PT012
        peer = _peer(script)
        with closing(peer):
            peer.step()


def test_random_sampling_is_compared_by_architecture_trained_and_darts_by_step():
    pairs = [(2.0, 4.0), (2.0, 8.0), (2.0, 4.0)]
    random, darts = (nni_step.compared(strategy, pairs) for strategy in ("random", "darts"))
    assert (random["ratio"]["median"], random["ratio_of_means"]) == (0.25, 0.1875)
    assert (darts["ratio"]["median"], darts["ratio_of_means"]) == (0.5, 0.375)


def test_darts_is_not_started_where_memory_is_short(monkeypatch):
    assert nni_step.free_gb() > 0.0
    monkeypatch.setattr(nni_step, "free_gb", lambda: nni_step.DARTS_GB - 1)
    with pytest.raises(SystemExit, match=r"expected 12 GB of free memory, got 11\.0"):
        nni_step.measured("darts", "no such python", None, repeats=2, sizes={})


def test_the_peer_is_pinned():
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if line[:1] != "#")
    assert pins["nni"] == "3.0"
    assert int(pins["setuptools"].split(".")[0]) < 81
    assert [int(part) for part in pins["pytorch-lightning"].split(".")[:2]] < [2, 1]
