"""Train every network of a small space alone, under some seeds: the truth that searches are measured against.

python -m benchmarks.truth.truth_table fashion    # or osuleaf, widths, vowels; stopped, it goes on
python -m benchmarks.truth.truth_table fashion_long --seeds 2   # trainings five times as long

Each finished training is a line of `results/truth_<space>.lines`; after the last one, the table is made from
them. Several processes can share the work: `--part 0 --of 2` and `--part 1 --of 2`, each with its own file.
"""

import argparse
import json
import random
import time

import torch

from benchmarks.record import RESULTS, write
from benchmarks.truth.problems import OWN, all_architectures, key_of, supernet_of
from benchmarks.truth.tables import Table, train_alone


def finished(name: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Return accuracy and seconds of finished trainings, by network and seed; skip an incomplete line."""
    found = {}
    for path in sorted(RESULTS.glob(f"truth_{name}*.lines")):
        for line in path.read_text().splitlines():
            try:
                key, seed, accuracy, seconds = json.loads(line)
            except ValueError:
                continue
            found[key, seed] = (accuracy, seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", choices=OWN)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=4, help="trainings of each network")
    parser.add_argument("--limit", type=int, help="stop after so many trainings: a pilot")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, problem = arguments.space, OWN[arguments.space]
    seeds = range(arguments.seeds)
    networks = all_architectures(supernet_of(problem).space)
    jobs = [(network, index, seed) for index, network in enumerate(networks) for seed in seeds]
    random.Random(0).shuffle(jobs)  # so that what is done so far is a fair sample
    jobs.sort(key=lambda job: job[2])
    done = finished(name)
    RESULTS.mkdir(exist_ok=True)
    part = "" if arguments.of == 1 else f".{arguments.part}of{arguments.of}"
    with (RESULTS / f"truth_{name}{part}.lines").open("a") as lines:
        for network, index, seed in jobs[arguments.part :: arguments.of][: arguments.limit]:
            if (key_of(network), seed) in done:
                continue
            start = time.process_time()
            accuracy = train_alone(problem, network, seed=len(networks) * seed + index)
            seconds = round(time.process_time() - start, 2)
            lines.write(json.dumps([key_of(network), seed, round(accuracy, 4), seconds]) + "\n")
            lines.flush()
    done = finished(name)
    if len(done) < len(jobs):
        print(f"{len(done)} of {len(jobs)} trainings done")
        return
    scores = {key_of(network): [done[key_of(network), seed][0] for seed in seeds] for network in networks}
    table = Table(scores)
    best = max(scores, key=table.means.get)
    figures = {
        "training_seeds": list(seeds),
        "networks": len(scores),
        "best": {best: table.best},
        "median": table.median,
        **(table.noise() if arguments.seeds > 1 else {}),
        "cpu_seconds": round(sum(seconds for _, seconds in done.values())),
    }
    print(json.dumps(figures, indent=2))
    print(write(f"truth_{name}", figures | {"scores": scores}))


if __name__ == "__main__":
    main()
