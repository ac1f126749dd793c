"""The files that scores are in: result.json of one search, and summary.json of the same search by seed."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import read_json, write_json

__all__ = ["RESULT", "write_result", "write_summary"]

RESULT, SUMMARY = "result.json", "summary.json"


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write the scores of a run, and once more into the summary that has a row of it.

    Args:
        folder: The run folder; the one above may be that of several seeds.
        result: What it came to up to now.
    """
    write_json(folder / RESULT, result)
    home = folder.resolve()  # of "." the name is wanted
    summary = home.parent / SUMMARY
    if not summary.exists():
        return
    try:
        known = read_json(summary)
        rows, mine = known["seeds"], (home.name, result["seed"])
        places = [place for place, row in enumerate(rows) if (row["folder"], row["seed"]) == mine]
    except (RunError, TypeError, LookupError):  # it is damaged, which is for the report to tell
        return
    if places:
        for place in places:
            rows[place] = _row(result, result["seed"], home.name)
        write_json(summary, known)


def write_summary(folder: Path, homes: Mapping[int, Path], *, higher_is_better: bool) -> None:
    """Write the scores of several seeds.

    Args:
        folder: Where to.
        homes: One or more: the seeds, and their run folders, each directly in `folder`.
        higher_is_better: Whether a higher score is better.
    """
    results = {seed: read_json(home / RESULT) for seed, home in homes.items()}
    rows = [_row(result, seed, homes[seed].name) for seed, result in results.items()]
    metric = next(iter(results.values()))["metric"]
    write_json(folder / SUMMARY, {"metric": metric, "higher_is_better": higher_is_better, "seeds": rows})


def _row(result: Mapping[str, Any], seed: int, home: str) -> dict[str, Any]:
    found, peers = result["found"], result["random"]
    names = [] if found is None else list(found.get("others", {}))
    others = {
        name: _found_and_random(found["others"][name], [peer["others"][name] for peer in peers])
        for name in names
    }
    row = {
        **_found_and_random(None if found is None else found["score"], [peer["score"] for peer in peers]),
        "inherited": result["inherited"],
        **({"others": others} if others else {}),
    }
    return {**row, "seed": seed, "folder": home}


def _found_and_random(found: float | None, peers: Sequence[float]) -> dict[str, float | None]:
    return {
        "found": found,
        "random_mean": statistics.fmean(peers) if peers else None,
        "random_sd": statistics.stdev(peers) if len(peers) > 1 else None,
    }
