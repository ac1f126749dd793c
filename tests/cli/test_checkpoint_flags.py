"""How often a search of the command line writes checkpoints."""

from test_cli import WORDS

from asng.cli import main
from asng.search import loop


def test_the_flags_reach_the_search(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(loop, "save_checkpoint", lambda path, state, keep: saved.append(state["step"]))
    words = ["search", "--run-dir", str(tmp_path / "run"), *WORDS, "--retrain-epochs", "0", "--final", "0"]
    assert main([*words, "--checkpoint-steps", "9", "--checkpoint-seconds", "600"]) == 0
    steps = saved[-1]
    assert saved == [0, *range(9, steps, 9), steps]
    assert steps > 9
