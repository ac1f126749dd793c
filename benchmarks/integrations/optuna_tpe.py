"""Does the sampler find better values than Optuna's TPE, on cheap problems of the development half?

python -m benchmarks.integrations.optuna_tpe

A sanity check of the sampler, not of the search: docs/benchmark/asng-minimize.md compares
that, on held-out problems too.
"""

import argparse
import warnings
from statistics import median

import optuna

from asng.integrations.optuna import ASNGSampler
from benchmarks.black_box.methods import Suggested
from benchmarks.black_box.suite import DEVELOPMENT
from benchmarks.record import write

GROUPS, TRIALS = ("mixed", "engineering", "continuous"), (50, 100)
SAMPLERS = {
    "asng": lambda seed: ASNGSampler(seed=seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
}


def least(name: str, group: str, problem: str, seed: int) -> list[float]:
    """Return the least value after a number of trials."""
    given = DEVELOPMENT[group][problem](seed)
    study = optuna.create_study(sampler=SAMPLERS[name](seed))
    study.optimize(lambda trial: given.loss(Suggested(trial, given.space)), n_trials=max(TRIALS))
    values = [trial.value for trial in study.trials]
    return [min(values[:count]) for count in TRIALS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    rows, runs = [], []
    for group in GROUPS:
        score = {count: [0, 0] for count in TRIALS}
        for problem in DEVELOPMENT[group]:
            for seed in range(arguments.seeds):
                found = {name: least(name, group, problem, seed) for name in SAMPLERS}
                runs.append({"group": group, "problem": problem, "seed": seed, **found})
                for place, count in enumerate(TRIALS):
                    ours, theirs = found["asng"][place], found["TPE"][place]
                    if ours != theirs:
                        score[count][ours > theirs] += 1
        for count, (won, lost) in score.items():
            rows.append({"group": group, "trials": count, "won": won, "lost": lost})
            print(rows[-1], flush=True)
    medians = {
        f"{run['problem']} {name}": median(
            other[name][-1] for other in runs if other["problem"] == run["problem"]
        )
        for run in runs
        for name in SAMPLERS
    }
    write("optuna_tpe", {"seeds": arguments.seeds, "rows": rows, "medians": medians}, runs)


if __name__ == "__main__":
    main()
