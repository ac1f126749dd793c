"""Do eight Ray workers with the searcher for Tune reach what one process reaches?

python -m benchmarks.integrations.ray_workers

Both have the same number of trials. The one process asks the same searcher, without Ray, for one trial at a
time.
"""

import argparse
import logging
import tempfile
import time
import warnings
from statistics import median
from typing import Any

import ray
from ray import tune
from scipy.stats import mannwhitneyu

from asng.integrations.ray import ASNGSearch
from benchmarks.black_box.suite import make
from benchmarks.record import write

PROBLEM, WORKERS = "mixed-sphere", 8


def one(seed: int, trials: int) -> float:
    """Return the least loss of sequential trials."""
    given = make(PROBLEM, seed)
    search, losses = ASNGSearch(given.space, metric="loss", mode="min", seed=seed), []
    for number in range(trials):
        config = search.suggest(str(number))
        losses.append(given.loss(config))
        search.on_trial_complete(str(number), {"loss": losses[-1]})
    return min(losses)


def eight(seed: int, trials: int) -> float:
    """Return the least loss of trials on a cluster, eight at a time."""
    given = make(PROBLEM, seed)

    def trainable(config: dict[str, Any]) -> None:
        tune.report({"loss": given.loss(config)})

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                search_alg=ASNGSearch(given.space, metric="loss", mode="min", seed=seed),
                num_samples=trials,
                max_concurrent_trials=WORKERS,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        results = tuner.fit()
    assert not results.num_errors
    return min(result.metrics["loss"] for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=60)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    runs = []
    for seed in range(arguments.seeds):
        for way in (one, eight):
            began = time.perf_counter()
            loss = way(seed, arguments.trials)
            seconds = round(time.perf_counter() - began, 1)
            runs.append({"way": way.__name__, "seed": seed, "loss": loss, "seconds": seconds})
            print(runs[-1], flush=True)
    found = {way: [run["loss"] for run in runs if run["way"] == way] for way in ("one", "eight")}
    head = {"problem": PROBLEM, "trials": arguments.trials, "workers": WORKERS, "seeds": arguments.seeds}
    medians = {way: median(losses) for way, losses in found.items()}
    p = float(mannwhitneyu(found["one"], found["eight"]).pvalue)
    write("ray_workers", head | medians | {"p": p}, runs)


if __name__ == "__main__":
    main()
