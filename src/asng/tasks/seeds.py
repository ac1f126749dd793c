"""The same search over several seeds, and the table of their scores."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.files import read_json, write_json
from asng.tasks.pipeline import config_of, run_task
from asng.tasks.run_folder import clear, holds_run, write_config
from asng.tasks.settings import SearchSettings
from asng.tasks.task import Task

__all__ = ["run_seeds"]


def run_seeds(
    task: Task,
    settings: SearchSettings,
    run_dir: str | Path,
    *,
    seeds: Sequence[int],
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Run a task once a seed, each in a folder `seed-<n>` of its own, and write `summary.json`.

    Args:
        task: What to search for.
        settings: How.
        run_dir: The folder of all of them.
        seeds: One or more, all different.
        resume: Go on where it stopped; finished seeds are not repeated.
        overwrite: Remove an earlier run first.
        progress: Show progress bars.

    Returns:
        The folder of all.

    Raises:
        RunError: As `run_task`.
    """
    folder = Path(run_dir)
    if overwrite and not resume:
        clear(folder)
    elif not resume and holds_run(folder):
        raise RunError(f"{folder}: holds an earlier run. Give --resume, --overwrite, or another --run-dir.")
    config = config_of(task, settings, seeds[0])
    write_config(folder, {**config, "seeds": list(seeds)})
    rows = []
    for seed in seeds:
        home = folder / f"seed-{seed}"
        run_task(task, settings, home, seed=seed, resume=resume, overwrite=overwrite, progress=progress)
        rows.append({**_scores(read_json(home / "result.json")), "seed": seed, "folder": home.name})
        summary = {"metric": task.metric, "higher_is_better": task.higher_is_better, "seeds": rows}
        write_json(folder / "summary.json", summary)
    return folder


def _scores(result: dict[str, Any]) -> dict[str, float | None]:
    peers = [peer["score"] for peer in result["random"]]
    return {
        "found": None if result["found"] is None else result["found"]["score"],
        "inherited": result["inherited"],
        "random_mean": statistics.fmean(peers) if peers else None,
        "random_sd": statistics.stdev(peers) if len(peers) > 1 else None,
    }
