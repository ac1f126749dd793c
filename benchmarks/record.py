"""The facts that every benchmark writes beside its figures: machine, versions, commit."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asng.runs import machine, versions

RESULTS = Path(__file__).parent / "results"


def commit() -> str:
    """Return the commit that is measured, with "+" if the work tree differs from it."""
    here = Path(__file__).parents[1]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    changed = subprocess.run(
        ["git", "status", "--porcelain", "src"], cwd=here, capture_output=True, check=True
    )
    return head.stdout.strip() + ("+" if changed.stdout else "")


def write(name: str, figures: dict[str, Any], runs: Sequence[Any] = ()) -> Path:
    """Write `results/<name>.json`, with one line for each of `runs`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    head = {"benchmark": name, "commit": commit(), "machine": machine(), "versions": versions()}
    text = json.dumps({**head, **figures}, indent=2)
    if runs:
        lines = ",\n    ".join(json.dumps(run) for run in runs)
        text = f'{text[:-2]},\n  "runs": [\n    {lines}\n  ]\n}}'
    path.write_text(text + "\n")
    return path
