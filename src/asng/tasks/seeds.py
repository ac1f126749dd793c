"""The same search over several seeds, and the table of their scores."""

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from asng.distributed import joined
from asng.files import read_json, write_json
from asng.tasks.pipeline import check_begin, check_free, config_of, held_by_one, run_prepared
from asng.tasks.preparing import Prepared, prepare
from asng.tasks.run_folder import clear, write_config
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
    flags = {"resume": resume, "overwrite": overwrite, "progress": progress}
    rows: list[dict[str, Any]] = []

    def begin() -> None:
        if overwrite and not resume:
            clear(folder)
        write_config(folder, {**config_of(task, settings, seeds[0]), "seeds": list(seeds)})

    def sum_up(seed: int, home: Path) -> None:
        result = read_json(home / "result.json")
        rows.append({**_summed_up(result), "seed": seed, "folder": home.name})
        head = {"metric": result["metric"], "higher_is_better": task.higher_is_better}
        write_json(folder / "summary.json", {**head, "seeds": rows})

    with joined() as comm:
        comm.once(lambda: check_begin(task, folder, resume=resume, overwrite=overwrite))
        ready: Prepared | None = prepare(task, settings, seeds[0])
        with held_by_one(comm, folder):
            # Another run may have come in between.
            comm.once(lambda: check_free(folder, resume=resume, overwrite=overwrite))
            comm.once(begin)
            for seed in seeds:
                home = folder / f"seed-{seed}"
                prepared = ready or prepare(task, settings, seed)
                with held_by_one(comm, home):
                    run_prepared(task, settings, home, prepared, seed=seed, comm=comm, **flags)
                ready = None
                comm.once(partial(sum_up, seed, home))
    return folder


def _summed_up(result: dict[str, Any]) -> dict[str, Any]:
    found, peers = result["found"], result["random"]
    names = [] if found is None else list(found.get("others", {}))
    others = {
        name: _found_and_random(found["others"][name], [peer["others"][name] for peer in peers])
        for name in names
    }
    scores = _found_and_random(None if found is None else found["score"], [peer["score"] for peer in peers])
    return {**scores, "inherited": result["inherited"], **({"others": others} if others else {})}


def _found_and_random(found: float | None, peers: Sequence[float]) -> dict[str, float | None]:
    return {
        "found": found,
        "random_mean": statistics.fmean(peers) if peers else None,
        "random_sd": statistics.stdev(peers) if len(peers) > 1 else None,
    }
