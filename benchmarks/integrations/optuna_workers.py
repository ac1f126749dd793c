"""Do eight processes on one Optuna storage, two of them killed, reach what one process reaches?

python -m benchmarks.integrations.optuna_workers                   # all cases
python -m benchmarks.integrations.optuna_workers --cases journal   # those whose storage is a journal

Both have the same number of finished trials. Trials of the eight processes take 20 ms or more each, so that
they overlap. Two processes are killed by SIGKILL, after a third and two thirds of the trials. A sampler knows
only the storage.
"""

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from scipy.stats import mannwhitneyu

from asng.integrations.optuna import ASNGSampler
from benchmarks.black_box.methods import Suggested
from benchmarks.black_box.suite import make
from benchmarks.record import write

CASES = [
    ("journal", "mixed-ellipsoid100", 150),
    ("journal", "continuous-rosenbrock", 150),
    ("journal", "continuous-ellipsoid100", 600),
    ("sqlite", "mixed-ellipsoid100", 150),
    ("sqlite", "beam", 150),
]
"""Storage, problem of the development half, number of trials."""

PROCESSES, KILLED, SECONDS = 8, 2, 0.02


def storage_in(folder: Path, kind: str) -> optuna.storages.BaseStorage:
    """Return a storage in a folder, which all processes share."""
    if kind == "journal":
        backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
        return optuna.storages.JournalStorage(backend)
    engine = {"connect_args": {"timeout": 60}}
    return optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}", engine_kwargs=engine)


def ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials with a value, in the order in which they ended."""
    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: trial.datetime_complete)


def work(folder: Path, kind: str, problem: str, instance: int, seed: int, trials: int, wait: float) -> None:
    """Run trials until there are enough."""
    given, rng = make(problem, instance), random.Random(seed)
    study = optuna.load_study(
        study_name="s", storage=storage_in(folder, kind), sampler=ASNGSampler(seed=seed)
    )

    def objective(trial: optuna.Trial) -> float:
        loss = given.loss(Suggested(trial, given.space))
        time.sleep(wait * (1.0 + rng.random()))
        return loss

    while len(ended(study)) < trials:
        study.optimize(objective, n_trials=1)


def one(kind: str, problem: str, seed: int, trials: int) -> tuple[float, int]:
    """Return the least value of a study by one process, and 0, since none is killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = optuna.create_study(study_name="s", storage=storage_in(folder, kind))
        work(folder, kind, problem, seed, seed, trials, wait=0.0)
        return min(trial.value for trial in ended(study)[:trials]), 0


def eight(kind: str, problem: str, seed: int, trials: int) -> tuple[float, int]:
    """Return the least value of a study by eight processes, and how many were killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = optuna.create_study(study_name="s", storage=storage_in(folder, kind))
        context = multiprocessing.get_context("fork")
        processes = [
            context.Process(target=work, args=(folder, kind, problem, seed, 100 * seed + i, trials, SECONDS))
            for i in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        killed = 0
        while any(process.is_alive() for process in processes):
            if killed < KILLED and len(ended(study)) >= trials * (killed + 1) // (KILLED + 1):
                os.kill(processes[killed].pid or 0, signal.SIGKILL)
                killed += 1
            time.sleep(0.1)
        bad = [process.exitcode for process in processes[killed:] if process.exitcode]
        assert not bad, bad
        assert [process.exitcode for process in processes[:killed]] == [-signal.SIGKILL] * killed
        return min(trial.value for trial in ended(study)[:trials]), killed


WAYS: dict[str, Callable[[str, str, int, int], tuple[float, int]]] = {"one": one, "eight": eight}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=["journal", "sqlite"], choices=["journal", "sqlite"])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    runs, rows = [], []
    for kind, problem, trials in CASES:
        if kind not in arguments.cases:
            continue
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for seed in range(arguments.seeds):
            for way, run in WAYS.items():
                began = time.perf_counter()
                value, killed = run(kind, problem, seed, trials)
                found[way].append(value)
                runs.append(
                    {
                        "storage": kind,
                        "problem": problem,
                        "trials": trials,
                        "seed": seed,
                        "way": way,
                        "value": value,
                        "killed": killed,
                        "seconds": round(time.perf_counter() - began, 1),
                    }
                )
        rows.append(row_of(kind, problem, trials, found))
        print(rows[-1], flush=True)
    write("optuna_workers", {"processes": PROCESSES, "killed": KILLED, "rows": rows}, runs)


def row_of(kind: str, problem: str, trials: int, found: dict[str, list[float]]) -> dict[str, Any]:
    """Return medians, and how likely such a difference of ranks is if both are equally good."""
    return {
        "storage": kind,
        "problem": problem,
        "trials": trials,
        **{way: median(values) for way, values in found.items()},
        "p": float(mannwhitneyu(found["one"], found["eight"]).pvalue),
    }


if __name__ == "__main__":
    main()
