"""How many models of other libraries become supernets by `asng.nn.searchable` alone, and are they right?

    python -m benchmarks.zoo.converted [NAME or LIBRARY ...]

Nothing is marked by hand. A row has the number of searched widths, of those that span several layers or lie
outside feed-forward networks, of depths, and the CPU seconds. Ten architectures are checked: does the child
equal the supernet to the last bit in evaluation mode? Does it equal the whole network when nothing reads the
removed channels and the removed blocks add nothing (`asng.nn.conversion`, on other inputs than the proof's)?
Rows are written as they end. The other libraries are in an environment of their own: see `requirements.txt`.
"""

import json
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from asng.nn import Conversion, Inputs, searchable
from asng.nn.conversion import SkipTrial, all_roles, cut_of, reduced, shaken
from benchmarks.record import commit
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.run import ARCHITECTURES, ITEMS, called, entries, in_words, key, same

RESULTS = Path(__file__).parents[1] / "results" / "zoo_converted.json"
PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
BEGIN, END = "<!-- by benchmarks/zoo/converted.py -->\n\n", "\n<!-- until here -->"

FEED_FORWARD = (
    "inner",
    "fc1",
    "wi",
    "lin1",
    "intermediate",
    "gate_proj",
    "up_proj",
    "h_to_4h",
    "ff",
    "linear1",
    "c_fc",
    "pwconv1",
)
"""Parts of the names of layers that widen a feed-forward network."""


def beyond(conversion: Conversion) -> int:
    """Return how many widths lie outside feed-forward networks."""
    names = [list(group.widths) for group in conversion.groups]
    return sum(not all(any(part in path for part in FEED_FORWARD) for path in paths) for paths in names)


def inputs_of(entry: Entry, batch: Any) -> Inputs:
    """Return the inputs of a call of a model."""
    inputs = entry.inputs(batch)
    return Inputs((), dict(inputs)) if isinstance(inputs, dict) or hasattr(inputs, "keys") else Inputs(inputs)


def row_of(entry: Entry) -> dict[str, Any]:
    """Convert a model, and compare its children."""
    torch.manual_seed(0)
    model = entry.make().eval()
    call, other = (inputs_of(entry, entry.batch(ITEMS)) for _ in range(2))
    begun = time.process_time()
    supernet = searchable(model, call)
    seconds = time.process_time() - begun
    supernet.eval()
    conversion: Conversion = supernet.conversion
    rng, exact, proved = random.Random(0), 0, 0
    proof, (shown,) = shaken(model, [other])
    trial = SkipTrial(proof, [shown])
    for _ in range(ARCHITECTURES):
        architecture = supernet.space.sample(rng)
        child = supernet.extract(architecture, example=call).eval()
        inputs = other.named or tuple(other)
        exact += same(called(child, inputs), called(supernet, inputs, architecture=architecture))
        made = {}
        for group in conversion.groups:
            value = architecture[group.name]
            made |= group.made(value // group.step if group.is_counted_in_channels else value)
        depths = {depth: architecture[depth.name] for depth in conversion.depths}
        small, paths = reduced(proof, depths)
        made = {paths[path]: kept for path, kept in made.items() if path in paths}
        for depth, count in depths.items():
            if depth.gone(count):
                trial.check(depth.container, depth.gone(count), in_place=depth.in_place)
        proved += not made or bool(cut_of(small, [shown], all_roles(small, [shown]), made).made)
    return {
        "name": entry.name,
        "family": entry.family,
        "groups": len(conversion.groups),
        "beyond": beyond(conversion),
        "widths": {group.name: list(group.widths) for group in conversion.groups},
        "depths": {depth.name: [depth.least, len(depth.blocks)] for depth in conversion.depths},
        "fixed": dict(Counter(conversion.fixed.values())),
        "seconds": round(seconds, 2),
        "exact": exact,
        "proved": proved,
        "commit": commit(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table, and their totals."""
    lines = [
        "| library | architecture | widths searched | beyond feed-forward | depths | exact | proved again "
        "| seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        told = [row["family"], row["name"]]
        if "error" in row:
            told += [f"refused: {row['error'][:160]}", "", "", "", ""]
        else:
            told += [str(row["groups"]), str(row["beyond"]), str(len(row["depths"]))]
            told += [str(row[name]) for name in ("exact", "proved", "seconds")]
        lines.append(f"| {' | '.join(told)} |")
    made = [row for row in rows if "error" not in row]
    right = sum(row["exact"] == row["proved"] == ARCHITECTURES for row in made)
    lines.append("")
    lines.append(
        f"{len(made)} of {len(rows)} convert, {sum(row['beyond'] > 0 for row in made)} of them with a width "
        f"beyond feed-forward networks, {sum(bool(row['depths']) for row in made)} with a depth; in {right} "
        f"all {ARCHITECTURES} children are exact, and proved again."
    )
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Convert the models without a row, or those that are named; then write the table."""
    known = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    rows = {key(row): row for row in known}
    for entry in entries():
        done = key(entry) in rows and "error" not in rows[key(entry)]
        if (done and not names) or (names and not {entry.name, entry.family} & set(names)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                row = row_of(entry)
            except Exception as error:  # a refusal is a row too
                row = {
                    "name": entry.name,
                    "family": entry.family,
                    "error": in_words(error),
                    "commit": commit(),
                }
        rows[key(entry)] = row
        RESULTS.write_text(json.dumps({"rows": list(rows.values())}, indent=1) + "\n")
        print(json.dumps(row), flush=True)
    page = PAGE.read_text()
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    PAGE.write_text(page[:begin] + table(list(rows.values())) + page[end:])


if __name__ == "__main__":
    main(sys.argv[1:])
