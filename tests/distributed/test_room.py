"""Who knows what of processes."""

import re
from pathlib import Path

import asng

HOME = Path(asng.__file__).parent


def mentioning(pattern):
    paths = [path for path in HOME.rglob("*.py") if re.search(pattern, path.read_text(encoding="utf-8"))]
    return {path.relative_to(HOME).parts[0] for path in paths}


def test_only_the_room_of_processes_knows_torch_distributed():
    assert mentioning(r"torch\.distributed|import distributed") == {"distributed"}


def test_the_loop_never_asks_for_a_rank():
    assert not mentioning(r"\.rank\b|get_rank|[\"']RANK") & {"search", "tasks", "cli"}
