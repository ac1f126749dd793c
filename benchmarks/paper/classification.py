"""Is what `asng classify` finds better than chance? A preset over several seeds, found against random.

python -m benchmarks.paper.classification --preset small --seeds 6

`make demo` runs the small preset too. A run that was stopped continues where it was.
"""

import argparse
import json
import statistics
from dataclasses import asdict, replace
from pathlib import Path

from asng.pipeline import run_seeds
from asng.tasks.classification import PRESETS, classification
from benchmarks.paper.gains import gains
from benchmarks.record import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), default="small")
    parser.add_argument("--data-dir", help="default: the embedded images")
    parser.add_argument("--seeds", type=int, default=6, help="at least 2")
    parser.add_argument("--epochs", type=int, help="of the search; default: the preset's")
    parser.add_argument("--retrain-epochs", type=int, help="default: the preset's")
    parser.add_argument("--peers", type=int, help="at least 1; default: the preset's, or 4 where it has none")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/benchmark-classification"))
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    changes = {name: getattr(arguments, name) for name in ("epochs", "retrain_epochs")}
    changes["peers"] = arguments.peers or preset.search.peers or 4
    settings = replace(preset.search, **{name: value for name, value in changes.items() if value})
    cells = replace(preset.task, data_dir=arguments.data_dir)
    seeds, folder = range(arguments.seeds), arguments.run_dir
    resume = (folder / "config.yaml").exists()
    run_seeds(classification(cells), settings, folder, seeds=seeds, resume=resume, progress=False)
    rows = [row_of(folder / f"seed-{seed}") for seed in seeds]
    figures = {
        "preset": arguments.preset,
        "settings": {**asdict(settings), **asdict(cells)},
        "seeds": rows,
        **gains(rows),
    }
    print(json.dumps(figures, indent=2))
    print(write(f"classification_{arguments.preset}", figures))


def row_of(folder: Path) -> dict[str, object]:
    result = json.loads((folder / "result.json").read_text())
    peers = [peer["score"] for peer in result["random"]]
    found = result["found"]["score"]
    trained = [result["found"]["seconds"], *(peer["seconds"] for peer in result["random"])]
    return {
        "seed": result["seed"],
        "found": round(found, 4),
        "inherited": result["inherited"] and round(result["inherited"], 4),
        "random": [round(peer, 4) for peer in peers],
        "gain": round(found - statistics.fmean(peers), 4),
        "rank": 1 + sum(peer > found for peer in peers),
        "search_seconds": result["search_seconds"],
        "train_seconds": result["found"]["seconds"],
        "seconds": round(result["search_seconds"] + sum(trained), 1),
    }


if __name__ == "__main__":
    main()
