"""What the example of docs/one-shot-search.md finds, by seeds: the better block, and what its child scores.

python -m benchmarks.truth.readme --seeds 10
"""

import argparse
import re
import statistics
import time
from pathlib import Path

import torch

from benchmarks.record import write

SEARCH = "search = asng.OneShotSearch("


def example() -> tuple[str, str]:
    """Return the page's first example that defines a network: the part up to its search, and the rest."""
    text = (Path(__file__).parents[2] / "docs" / "one-shot-search.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    before, after = next(block for block in blocks if "class Net(nn.Module)" in block).split(SEARCH)
    return before, SEARCH + after.replace("epochs=20)", "epochs=20, progress=False)")


def plain(names: dict, block: str) -> float:
    """Return the score of a network of the space, trained only as the example then trains its child."""
    supernet = names["snn"].Supernet(names["Net"]())
    inputs = next(iter(names["loader"]))[0]
    child = supernet.extract({"width": 16, "kernel": 5, "block": block}, example=inputs)
    names["asng"].training.train(
        child, names["loader"], loss=names["loss"], epochs=6, optimizer=names["adam"]
    )
    test = names["DataLoader"](names["test"], batch_size=250)
    return names["score"](child, test, names["accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    torch.set_num_threads(1)
    setting, searching = example()
    runs = []
    for seed in range(parser.parse_args().seeds):
        start = time.process_time()
        torch.manual_seed(seed)
        names: dict = {}
        exec(setting, names)
        exec(searching.replace("optimizer=adam)", f"optimizer=adam, seed={seed})", 1), names)
        test = names["DataLoader"](names["test"], batch_size=250)
        runs.append(
            {
                "seed": seed,
                **names["result"].architecture,
                "score": names["score"](names["child"], test, names["accuracy"]),
                "plain": {block: plain(names, block) for block in ("conv", "skip")},
                "cpu_seconds": round(time.process_time() - start, 1),
            }
        )
        print(runs[-1], flush=True)
    figures = {
        "seeds": len(runs),
        "better_block": sum(run["block"] == "conv" for run in runs),
        "score": round(statistics.fmean(run["score"] for run in runs), 3),
        "plain": {
            block: round(statistics.fmean(run["plain"][block] for run in runs), 3)
            for block in ("conv", "skip")
        },
    }
    print(figures)
    print(write("readme_example", figures, runs))


if __name__ == "__main__":
    main()
