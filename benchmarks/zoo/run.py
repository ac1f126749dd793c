"""Can architectures of other libraries be searched, and is the child right?

    python -m benchmarks.zoo.run [NAME or LIBRARY ...]

A tiny model of each architecture is made from its config, made searchable by hand, and searched for a few
steps. Its child is compared with the supernet on ten architectures, bit for bit, in evaluation mode. The
child is exported if the plain model can be. It is reloaded by save_pretrained and from_pretrained if its
config can express what was found. Rows are written as they end; existing rows are kept, but refusals are
tried again.

The other libraries are in an environment of their own: see `requirements.txt` in this folder.
"""

import json
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

import asng
from asng.nn import Supernet
from asng.training import save_program
from benchmarks.record import commit
from benchmarks.zoo.entry import Entry, lines_of, tensors_of

RESULTS = Path(__file__).parents[1] / "results" / "zoo.json"
ARCHITECTURES = 10
ITEMS, BATCHES = 4, 8


class Batches:
    """A loader of batches that are made beforehand."""

    def __init__(self, entry: Entry) -> None:
        self.batches = [entry.batch(ITEMS) for _ in range(BATCHES)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)


def called(model: Any, inputs: Any, **more: Any) -> list[torch.Tensor]:
    """Run a model on inputs by name or by position, and return the tensors that it returns."""
    with torch.no_grad():
        output = model(**inputs, **more) if isinstance(inputs, dict) else model(*inputs, **more)
    return [tensor.clone() for tensor in tensors_of(output)]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    """Whether two outputs are equal to the last bit."""
    return len(left) == len(right) > 0 and all(map(torch.equal, left, right))


def in_words(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


def exports(model: nn.Module, inputs: Any) -> tuple[bool, str]:
    """Return "yes" if the exported program of a model gives the same outputs, and else why not."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = save_program(Path(folder) / "child.pt2", model.eval(), inputs)
            program = torch.export.load(path).module()
            pairs = zip(called(program, inputs), called(model, inputs), strict=True)
            if all(torch.allclose(a, b, atol=1e-4) for a, b in pairs):
                return True, ""
            return False, "the program gives other numbers"
    except Exception as error:  # of many kinds
        return False, in_words(error)


def reloaded(entry: Entry, child: Any, architecture: Any, inputs: Any) -> str:
    """Return "yes" if a child can be reloaded after save_pretrained, and else why not."""
    if entry.write is None:
        return entry.reason
    plain = entry.make()
    config = type(plain.config).from_dict(plain.config.to_dict())
    entry.write(config, architecture)
    model = type(plain)(config)
    model.load_state_dict(child.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = type(plain).from_pretrained(folder)
        return (
            "yes" if same(called(again.eval(), inputs), called(child, inputs)) else "it gives other numbers"
        )


def row_of(entry: Entry) -> dict[str, Any]:
    """Search one architecture of the zoo, and return its row."""
    torch.manual_seed(0)
    began, row = time.perf_counter(), {"name": entry.name, "family": entry.family}
    row["lines"] = lines_of(entry.search)
    plain, batches = entry.make(), Batches(entry)
    inputs = entry.inputs(batches.batches[0])
    row["plain_exports"], row["plain_reason"] = exports(plain, inputs)
    model = entry.make()
    model = entry.search(model) or model
    supernet = Supernet(model)
    row["architectures"] = supernet.space.size
    search = asng.OneShotSearch(
        supernet, entry.loss, cost=asng.Penalty("parameters", weight=0.01, target=1e4)
    )
    found = search.fit(batches, batches, epochs=3, progress=False)  # type: ignore[arg-type]
    row |= {"steps": found.steps, "finalists": len(found.finalists)}
    child, draws, exact = found.child, random.Random(0), 0
    supernet.eval()
    for _ in range(ARCHITECTURES):
        a = supernet.space.sample(draws)
        one = supernet.extract(a, example=inputs).eval()
        exact += same(called(one, inputs), called(supernet, inputs, architecture=a))
    row["exact"] = exact
    row["child_exports"], row["child_reason"] = exports(child, inputs)
    try:
        row["reloaded"] = reloaded(entry, child, found.architecture, inputs)
    except Exception as error:  # of the other library
        row["reloaded"] = f"refused: {in_words(error)}"
    return row | {"seconds": round(time.perf_counter() - began, 1), "commit": commit()}


def entries() -> list[Entry]:
    """Return the zoo."""
    from benchmarks.zoo import language, others, vision

    return [*language.ENTRIES, *vision.ENTRIES, *others.ENTRIES]


def key(row: Any) -> str:
    """Return the key of a row or an entry."""
    return f"{row['family']} {row['name']}" if isinstance(row, dict) else f"{row.family} {row.name}"


def write(rows: list[dict[str, Any]]) -> None:
    """Write all rows, one a line."""
    lines = ",\n    ".join(json.dumps(row) for row in rows)
    head = json.dumps({"benchmark": "zoo", "architectures_each": ARCHITECTURES, "torch": torch.__version__})
    RESULTS.write_text(f'{head[:-1]},\n  "rows": [\n    {lines}\n  ]}}\n')


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    names = "library, architecture, lines, architectures, exact of 10, plain exports, child exports, reloaded"
    words = [f"| {names.replace(', ', ' | ')} |", "| --- " * 8 + "|"]
    for row in rows:
        if row.get("error"):
            words.append(
                f"| {row['family']} | {row['name']} | {row['lines']} | refused: {row['error']} |||||"
            )
            continue
        exported = ["yes" if row[name] else "no" for name in ("plain_exports", "child_exports")]
        figures = [row["lines"], f"{row['architectures']:.3g}", row["exact"], *exported, row["reloaded"]]
        words.append(f"| {row['family']} | {row['name']} | {' | '.join(map(str, figures))} |")
    return "\n".join(words)


def main(names: list[str]) -> None:
    """Run the entries without a row, or those that are named."""
    known = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    rows = {key(row): row for row in known}
    for entry in entries():
        done = "error" not in rows.get(key(entry), {"error": "not tried"})
        if (done and not names) or (names and not {entry.name, entry.family} & set(names)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                row = row_of(entry)
            except Exception as error:  # a refusal is a row too
                row = {"name": entry.name, "family": entry.family, "lines": lines_of(entry.search)}
                row["error"] = in_words(error)
        rows[key(entry)] = row
        write(list(rows.values()))
        print(json.dumps(row), flush=True)
    print(table(list(rows.values())))


if __name__ == "__main__":
    main(sys.argv[1:])
