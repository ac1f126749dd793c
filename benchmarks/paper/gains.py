"""How found networks compare with their random peers over several seeds: gain, and worth over cost.

python -m benchmarks.paper.gains classification_small      # the figures of rows measured before, anew
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from asng.report import estimate_worth, mean_worth
from benchmarks.record import RESULTS

__all__ = ["gains"]


def gains(
    rows: Sequence[Mapping[str, Any]], digits: int = 4, *, higher_is_better: bool = True
) -> dict[str, float]:
    """Return the mean gain and, over all seeds, the worth of the found networks in random networks.

    Rows with seconds also give the cost of a search, in trainings of the found network.

    Args:
        rows: One for each seed, with `found`, `random`, `gain`, `rank`, and optionally `search_seconds` and
            `train_seconds`; at least two.
        digits: Decimals of the gain.
        higher_is_better: Whether a higher score is better.
    """
    own = [row["gain"] for row in rows]
    worths = [
        estimate_worth(row["found"], row["random"], higher_is_better=higher_is_better).value for row in rows
    ]
    worth = mean_worth(worths)
    figures = {
        "gain_mean": round(statistics.fmean(own), digits),
        "gain_sd": round(statistics.stdev(own), digits),
        "seeds_with_gain": sum(gain > 0 for gain in own),
        "seeds_with_found_first": sum(row["rank"] == 1 for row in rows),
        "worth": round(worth, 2),
    }
    if "train_seconds" in rows[0]:
        cost = statistics.fmean(row["search_seconds"] / row["train_seconds"] for row in rows)
        figures |= {"cost": round(cost, 2), "worth_over_cost": round(worth / cost, 2)}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="+", help="of files in results")
    for name in parser.parse_args().name:
        path = RESULTS / f"{name}.json"
        known = json.loads(path.read_text())
        higher = known["settings"].get("higher_is_better", True)
        digits = 3 if name == "inpainting" else 4
        path.write_text(
            json.dumps(known | gains(known["seeds"], digits, higher_is_better=higher), indent=2) + "\n"
        )
        print(name, {key: value for key, value in known.items() if key in ("gain_mean", "gain_sd")})
        print(gains(known["seeds"], digits, higher_is_better=higher))


if __name__ == "__main__":
    main()
