"""Update the measured figures of the pages from the JSON of the benchmarks.

Run `make figures` after a benchmark; `python tools/figures.py --check` only lists the figures that differ.

A figure on a page is followed by a comment that says where it comes from:

    201<!--kill_resume:rows:kills:sum--> kills in 109<!--kill_resume:rows:runs:sum--> runs

The comment names the file in benchmarks/results and a path through it. A part of the path is a key. In a list
it may also be an index, a condition such as `subject=search` or `method=SNG&lam=2` that selects rows, or a
key of all rows. One of FINDINGS may follow at the end, and then a factor such as `*100`.

A comment above a table covers all its rows: the label in the first cell of a row replaces `{}`. A column has
as many paths as figures, separated by `;`, or `-` if it has none. Empty cells stay empty. The common
beginning of all paths comes first, or `-`:

    <!--table truth_pilots_fashion:methods:{} | gain; error | closed*100 | - -->

If a label differs from the key, the key follows it: `theta averaged twice<!--=averaged-->`.

A figure is rounded to the decimals that it has on the page. Write a new figure with question marks:
`?.??<!--paper_step:ratio:median-->`.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
RESULTS = ROOT / "benchmarks" / "results"

_NUMBER = r"[-+]?[\d?]+(?:,[\d?]{3})*(?:\.[\d?]+)?"
NUMBER = re.compile(_NUMBER)
FIGURE = re.compile(rf"(?P<said>{_NUMBER})?<!--(?P<way>[\w-]+:[^>]*?)-->")
TABLE = re.compile(r"^<!--table (?P<prefix>\S[^|]*?) *\|(?P<columns>.*?)-->$")
KEY = re.compile(r"<!--=(.*?)-->")

FINDINGS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "len": len,
    "min": min,
    "max": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "sd": statistics.stdev,
}


class FigureError(ValueError):
    """A page names a figure that does not exist."""


def value_of(way: str, results: Path = RESULTS) -> Decimal:
    """Return the figure at the end of a path.

    Raises:
        FigureError: There is no figure, or more than one.
    """
    path, _, factor = way.partition("*")
    name, *parts = re.split(":(?! )", path)  # a key may have a colon in a sentence
    found: Any = _read(results / f"{name}.json")
    for number, part in enumerate(parts):
        try:
            found = _step(found, part)
        except (KeyError, IndexError, TypeError, ValueError, statistics.StatisticsError) as error:
            before = ":".join([name, *parts[:number]])
            raise FigureError(f"{way}: expected {part!r} in {before}, got {_told(found)}.") from error
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise FigureError(f"{way}: expected a number at the end, got {_told(found)}.")
    # A mean such as 0.7414999999999999 is meant to be 0.7415.
    return Decimal(f"{found:.12g}") * Decimal(factor or 1)


@cache
def _read(path: Path) -> Any:
    if not path.exists():
        raise FigureError(f"{path.name}: expected it in {path.parent}, got no such file.")
    return json.loads(path.read_text(encoding="utf-8"))


def _step(found: Any, part: str) -> Any:
    if isinstance(found, dict) and part in found:
        return found[part]
    if part in FINDINGS:
        return FINDINGS[part](list(found.values()) if isinstance(found, dict) else found)
    if isinstance(found, dict):
        raise KeyError(part)
    if part.lstrip("-").isdigit():
        return found[int(part)]
    if "=" in part:
        wanted = [condition.split("=", 1) for condition in part.split("&")]
        rows = [row for row in found if all(str(row[key]) == value for key, value in wanted)]
        if not rows:
            raise KeyError(part)
        return rows[0] if len(rows) == 1 else rows
    return [row[part] for row in found]


def _told(found: Any) -> str:
    if isinstance(found, dict):
        return f"the keys {', '.join(map(repr, list(found)[:12]))}"
    return f"a list of {len(found)}" if isinstance(found, list) else repr(found)


def written(value: Decimal, said: str) -> str:
    """Format a figure as on the page: the same decimals, halves rounded up, a plus sign if there was one."""
    decimals = len(said.partition(".")[2])
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{rounded:{'+' if said.startswith('+') else ''},.{decimals}f}"


def renewed(text: str, results: Path = RESULTS) -> list[tuple[str, FigureError | None]]:
    """Return the lines of a page with all figures updated from the results, and a list of problems."""
    lines = []
    table: re.Match[str] | None = None
    rows = 0
    for line in text.splitlines():
        error = None
        if match := TABLE.match(line):
            table, rows = match, 0
        elif table is not None and not line.startswith("|"):
            table = None
        elif table is not None:
            rows += 1
        try:
            line = FIGURE.sub(lambda figure: _inline(figure, results), line)
            if table is not None and rows > 2:  # after the heading and the line below it
                line = _row(line, table["prefix"], table["columns"].split("|"), results)
        except FigureError as wrong:
            error = wrong
        lines.append((line, error))
    return lines


def _inline(figure: re.Match[str], results: Path) -> str:
    if figure["said"] is None:
        raise FigureError(f"{figure['way']}: expected a figure before the comment, such as ?.??, got none.")
    return written(value_of(figure["way"], results), figure["said"]) + figure[0][len(figure["said"]) :]


def _row(line: str, prefix: str, columns: Sequence[str], results: Path) -> str:
    """Return a row of a table with the figures of its columns."""
    cells = line.split("|")
    key = KEY.search(cells[1])
    label = key[1] if key else re.sub(r"[*`]|\s*\([^)]*\)\s*$", "", cells[1].strip())
    for number, column in enumerate(columns, start=2):
        ways = [way.strip().replace("{}", label) for way in column.split(";") if way.strip() != "-"]
        if number < len(cells) and cells[number].strip():
            start = "" if prefix == "-" else prefix.replace("{}", label) + ":"
            cells[number] = _cell(cells[number], (start + way for way in ways if way), results)
    return "|".join(cells)


def _cell(cell: str, ways: Iterator[str], results: Path) -> str:
    said = iter(NUMBER.findall(cell))
    parts = NUMBER.split(cell)
    text = parts[0]
    for rest, number in zip(parts[1:], said, strict=True):
        way = next(ways, None)
        text += (number if way is None else written(value_of(way, results), number)) + rest
    if (way := next(ways, None)) is not None:
        raise FigureError(
            f"{way}: expected a figure for it in the cell {cell.strip()!r}, such as ?.??, got none."
        )
    return text


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a figure differs")
    given = parser.parse_args(arguments)
    wrong = differ = False
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = renewed(text)
        for number, (old, (new, error)) in enumerate(zip(text.splitlines(), lines, strict=True), start=1):
            place = f"{page.relative_to(ROOT)}:{number}"
            if error is not None:
                wrong = True
                print(f"{place}: {error}")
            elif old != new:
                differ = True
                print(f"{place}:\n  - {old}\n  + {new}")
        if not given.check and not wrong:
            page.write_text("".join(f"{line}\n" for line, _ in lines), encoding="utf-8")
    return int(wrong or (differ and given.check))


if __name__ == "__main__":
    sys.exit(main())
