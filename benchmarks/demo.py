"""Is the demo worth it? Its search over several seeds, found against random, as `make demo` runs it.

python benchmarks/demo.py --seeds 6 --run-dir runs/benchmark-demo
"""

import argparse
import json
import statistics
from dataclasses import asdict
from pathlib import Path

from asng.tasks import SearchSettings, run_seeds
from asng.tasks.classification import ClassificationSettings, classification
from record import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/benchmark-demo"))
    arguments = parser.parse_args()
    settings, cells = SearchSettings(), ClassificationSettings()
    seeds = range(arguments.seeds)
    resume = (arguments.run_dir / "config.yaml").exists()
    run_seeds(classification(cells), settings, arguments.run_dir, seeds=seeds, resume=resume, progress=False)
    rows = [row_of(arguments.run_dir / f"seed-{seed}") for seed in seeds]
    gains = [row["gain"] for row in rows]
    figures = {
        "settings": {**asdict(settings), **asdict(cells)},
        "seeds": rows,
        "gain_mean": round(statistics.fmean(gains), 4),
        "gain_sd": round(statistics.stdev(gains), 4),
        "seeds_with_gain": sum(gain > 0 for gain in gains),
    }
    print(json.dumps(figures, indent=2))
    print(write("demo", figures))


def row_of(folder: Path) -> dict[str, object]:
    result = json.loads((folder / "result.json").read_text())
    peers = [peer["score"] for peer in result["random"]]
    found = result["found"]["score"]
    return {
        "seed": result["seed"],
        "found": round(found, 4),
        "inherited": round(result["inherited"], 4),
        "random": [round(peer, 4) for peer in peers],
        "gain": round(found - statistics.fmean(peers), 4),
        "rank": 1 + sum(peer > found for peer in peers),
        "search_seconds": result["search_seconds"],
        "train_seconds": result["found"]["seconds"],
    }


if __name__ == "__main__":
    main()
