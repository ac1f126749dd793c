"""Is the small search for inpainting worth it? Found against random over several seeds, by PSNR.

python -m benchmarks.paper.inpainting --seeds 3 --run-dir runs/benchmark-inpainting
"""

import argparse
import json
import os
import statistics
from dataclasses import asdict, replace
from pathlib import Path

from asng.pipeline import run_seeds
from asng.tasks.inpainting import PRESETS, inpainting, passes
from benchmarks.paper.gains import gains
from benchmarks.record import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/benchmark-inpainting"))
    arguments = parser.parse_args()
    preset = PRESETS["small"]
    task = inpainting(preset.task)
    loaders = task.loaders(0)
    settings = replace(
        preset.search,
        epochs=passes(preset.iterations, len(loaders.search_train)),
        retrain_epochs=passes(preset.retrain_iterations, len(loaders.train)),
    )
    seeds = range(arguments.seeds)
    resume = (arguments.run_dir / "config.yaml").exists()
    load = os.getloadavg()[0]
    run_seeds(task, settings, arguments.run_dir, seeds=seeds, resume=resume, progress=False)
    rows = [row_of(arguments.run_dir / f"seed-{seed}") for seed in seeds]
    figures = {
        "settings": {**asdict(settings), **asdict(preset.task)},
        "load_before_and_after": [round(load, 1), round(os.getloadavg()[0], 1)],
        "seeds": rows,
        **gains(rows, 3),
    }
    print(json.dumps(figures, indent=2))
    print(write("inpainting", figures))


def row_of(folder: Path) -> dict[str, float]:
    result = json.loads((folder / "result.json").read_text())
    found, peers = result["found"], result["random"]
    scores = [peer["score"] for peer in peers]
    return {
        "seed": result["seed"],
        "found": round(found["score"], 3),
        "inherited": round(result["inherited"], 3),
        "random": [round(score, 3) for score in scores],
        "gain": round(found["score"] - statistics.fmean(scores), 3),
        "rank": 1 + sum(score > found["score"] for score in scores),
        "ssim": round(found["others"]["SSIM"], 4),
        "random_ssim": [round(peer["others"]["SSIM"], 4) for peer in peers],
        "parameters": found["parameters"],
        "random_parameters": [peer["parameters"] for peer in peers],
        "search_seconds": result["search_seconds"],
        "train_seconds": found["seconds"],
    }


if __name__ == "__main__":
    main()
