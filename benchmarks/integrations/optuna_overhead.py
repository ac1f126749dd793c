"""How long does the sampler take for a trial, beside Optuna's TPE in the same run?

python -m benchmarks.integrations.optuna_overhead

A third of the variables are reals, a third integers, a third choices, and the objective costs nothing. The
time is that of whole trials in memory; Optuna's own part of it is the time of random sampling.
"""

import argparse
import time
from statistics import median

import optuna

from asng.integrations.optuna import ASNGSampler
from benchmarks.record import write

VARIABLES, COUNTS = (5, 30), (100, 500, 1000)
SAMPLERS = {
    "asng": lambda seed: ASNGSampler(seed=seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def seconds_at(sampler: optuna.samplers.BaseSampler, variables: int) -> list[float]:
    """Return the seconds that pass until each of the counts of trials is reached."""

    def objective(trial: optuna.Trial) -> float:
        total = 0.0
        for i in range(variables):
            if i % 3 == 0:
                total += (trial.suggest_float(f"v{i}", -1.0, 1.0) - 0.3) ** 2
            elif i % 3 == 1:
                total += (trial.suggest_int(f"v{i}", 0, 20) - 7) ** 2 / 400.0
            else:
                total += trial.suggest_categorical(f"v{i}", list("abcde")) != "c"
        return total

    study, found = optuna.create_study(sampler=sampler), []
    began = time.perf_counter()
    for before, count in zip((0, *COUNTS), COUNTS, strict=False):
        study.optimize(objective, n_trials=count - before)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows, runs = [], []
    for variables in VARIABLES:
        times: dict[str, list[list[float]]] = {name: [] for name in SAMPLERS}
        for seed in range(arguments.repeats):
            for name, make in SAMPLERS.items():
                times[name].append(seconds_at(make(seed), variables))
                runs.append(
                    {"variables": variables, "seed": seed, "sampler": name, "seconds": times[name][-1]}
                )
        for place, count in enumerate(COUNTS):
            ms = {name: median(one[place] for one in found) / count * 1e3 for name, found in times.items()}
            ratio = median(
                theirs[place] / ours[place] for ours, theirs in zip(times["asng"], times["TPE"], strict=True)
            )
            rows.append({"variables": variables, "trials": count, **ms, "times_faster": ratio})
            print(rows[-1], flush=True)
    write("optuna_overhead", {"rows": rows}, runs)


if __name__ == "__main__":
    main()
