"""The results of a run: scores, cells and pictures of what was found.

One search leaves result.json, graphs.json and pictures.json; several seeds of the same search, summary.json.
"""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import msgspec

from asng.errors import RunError
from asng.runs.folder import RESULT, SUMMARY
from asng.runs.stored import Finite, Number, Stored, Whole, plain, read_json, read_stored, stored, write_json

__all__ = [
    "FoundAndRandom",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "PictureRow",
    "Pictures",
    "Result",
    "Scored",
    "SeedScore",
    "Summary",
    "mean_sd",
    "write_result",
    "write_summary",
]

_LONGEST_NAME = 255
"""Longest name of a folder on the usual file systems, in bytes; longer ones fail in many ways."""
_PNG = b"\x89PNG\r\n\x1a\n"


class Scored(Stored, frozen=True):
    """One network trained alone.

    Attributes:
        score: In the metric of the run; NaN if it has none yet.
        parameters: How many weights it has.
        seconds: How long its training took; NaN if unknown.
        architecture: Name to value; None if unknown.
        others: Further scores, by name; None if unknown.
    """

    score: Number = math.nan
    parameters: int | None = None
    seconds: Number = math.nan
    architecture: Mapping[str, Any] | None = None
    others: Mapping[str, float | None] = {}


class Result(Stored, frozen=True):
    """The result of a search; every part may be missing.

    Attributes:
        metric: Name of the score.
        higher_is_better: Whether a higher score is better.
        seed: Seed of the run.
        search_seconds: How long the search took; NaN if unknown.
        steps: How many steps it took.
        inherited: Score of the found network with the supernet's weights; NaN if unknown.
        found: The found network trained alone.
        random: Random networks of the same space, trained in the same way.
        reason: Why the search ended.
        baseline: The user's own network, trained in the same way; None if there is none.
        test_items: How many items the scores are means over; None if unknown.
    """

    metric: str = "score"
    higher_is_better: bool = True
    seed: int | None = None
    search_seconds: Number = math.nan
    steps: int | None = None
    inherited: Number = math.nan
    found: Scored | None = None
    random: tuple[Scored, ...] = ()
    reason: str | None = None
    baseline: Scored | None = None
    test_items: Whole | None = None

    @property
    def other_names(self) -> list[str]:
        """Names of the further scores that any network has."""
        networks = (one for one in (self.found, self.baseline, *self.random) if one is not None)
        return list(dict.fromkeys(name for network in networks for name in network.others))

    @property
    def peers(self) -> list[float]:
        """Scores of the random networks that have one."""
        return [peer.score for peer in self.random if not math.isnan(peer.score)]

    @property
    def trainings(self) -> float:
        """How often the found network could have been trained in the time of the search; NaN if unknown."""
        training = self.found.seconds if self.found is not None else math.nan
        cost = self.search_seconds / training if training > 0 else math.nan
        return cost if cost > 0 else math.nan  # a search of less than 0.05 s is stored as one of 0 s


class FoundAndRandom(Stored, frozen=True):
    """One score of a found network, and mean and standard deviation of its peers' scores; NaN if unknown."""

    found: Number = math.nan
    random_mean: Number = math.nan
    random_sd: Number = math.nan


class SeedScore(FoundAndRandom, frozen=True, kw_only=True):
    """The scores of one seed of several; NaN if unknown.

    Attributes:
        seed: The seed.
        inherited: Score of the found network with the supernet's weights.
        folder: Name of its run folder, directly below the common one, or None.
        others: Further scores, by name.
        peers: Scores of the random networks; empty if only their mean is known.
        baseline: Score of the user's own network.
        trainings: How often the found network could have been trained in the time of the search.
        test_items: How many items the scores are means over; None if unknown.
    """

    seed: int
    inherited: Number = math.nan
    folder: str | None = None
    others: Mapping[str, FoundAndRandom] = {}
    peers: tuple[Finite, ...] = ()
    baseline: Number = math.nan
    trainings: Number = math.nan
    test_items: Whole | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.folder
        # A report is written there: a path out of the run folder would put it elsewhere.
        if name is not None and (
            name in ("", ".", "..")
            or len(name.encode()) > _LONGEST_NAME
            or Path(name).name != name
            or "\\" in name
        ):
            raise ValueError(f"folder: expected the name of a folder directly below, got {name!r:.80}")


class Summary(Stored, frozen=True):
    """The scores of several seeds of the same search."""

    metric: str = "score"
    higher_is_better: bool = True
    seeds: tuple[SeedScore, ...] = ()

    @property
    def others(self) -> list[str]:
        """Names of the further scores that any seed has."""
        return list(dict.fromkeys(name for seed in self.seeds for name in seed.others))


class GraphNode(Stored, frozen=True):
    """A node of a cell: its name, and its label; None stands for the name."""

    id: str
    label: str | None = None


class GraphEdge(Stored, frozen=True, rename={"source": "from", "target": "to"}):
    """One operation between two nodes; several may join the same two."""

    source: str
    target: str
    label: str = ""


class Graph(Stored, frozen=True):
    """A found cell to draw: graphs.json has a list of them."""

    title: str = "graph"
    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[GraphEdge, ...] = ()

    def __post_init__(self) -> None:
        names = self.labels
        for end in (end for edge in self.edges for end in (edge.source, edge.target)):
            if end not in names:
                raise ValueError(f"edges: expected the id of a node, got {end!r:.80}")

    @property
    def labels(self) -> dict[str, str]:
        """Name of each node to its label."""
        return {node.id: node.id if node.label is None else node.label for node in self.nodes}


class PictureRow(Stored, frozen=True):
    """One picture with its label.

    Attributes:
        label: What it shows, in a word or two.
        png: A PNG file in base64.
    """

    label: str = ""
    png: str = ""

    def __post_init__(self) -> None:
        try:
            is_png = base64.b64decode(self.png, validate=True).startswith(_PNG)
        except (binascii.Error, ValueError):
            is_png = False
        if not is_png:
            raise ValueError(f"png: expected a PNG file in base64, got {self.png!r:.40}")


class Pictures(Stored, frozen=True):
    """What the found network does: rows of pictures of one width, and the caption below them."""

    caption: str = ""
    rows: tuple[PictureRow, ...] = ()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write the scores of a run, and update its row in the summary of several seeds, if there is one.

    Args:
        folder: The run folder; the one above may be that of several seeds.
        result: The results so far, as the fields of a `Result`.

    Raises:
        RunError: A field is of another type, or the file cannot be written.
    """
    known = stored(plain(result), Result, str(folder / RESULT))
    write_json(folder / RESULT, known)
    home = folder.resolve()  # "." has a name only then
    path = home.parent / SUMMARY
    try:
        summary = read_stored(path, Summary)
    except RunError:  # it is damaged; the report will say so
        return
    if summary is not None:
        seeds = [
            _row(known, row.seed, home.name) if (row.folder, row.seed) == (home.name, known.seed) else row
            for row in summary.seeds
        ]
        if seeds != list(summary.seeds):
            write_json(path, msgspec.structs.replace(summary, seeds=tuple(seeds)))


def write_summary(folder: Path, homes: Mapping[int, Path], *, higher_is_better: bool) -> None:
    """Write the scores of several seeds.

    Args:
        folder: Where to write them.
        homes: Seed to run folder, one or more; each is directly in `folder`.
        higher_is_better: Whether a higher score is better.
    """
    paths = {seed: home / RESULT for seed, home in homes.items()}
    results = {seed: stored(read_json(path), Result, str(path)) for seed, path in paths.items()}
    rows = tuple(_row(result, seed, homes[seed].name) for seed, result in results.items())
    metric = next(iter(results.values())).metric
    write_json(folder / SUMMARY, Summary(metric, higher_is_better, rows))


def _row(result: Result, seed: int, home: str) -> SeedScore:
    found, peers = result.found, result.random
    others = {
        name: FoundAndRandom(
            math.nan if value is None else value, *mean_sd([peer.others.get(name) for peer in peers])
        )
        for name, value in (found.others if found else {}).items()
    }
    return SeedScore(
        found.score if found else math.nan,
        *mean_sd([peer.score for peer in peers]),
        inherited=result.inherited,
        others=others,
        seed=seed,
        folder=home,
        peers=tuple(result.peers),
        baseline=result.baseline.score if result.baseline else math.nan,
        trainings=result.trainings,
        test_items=result.test_items,
    )


def mean_sd(values: Sequence[float | None]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) of the finite values; NaN if there are none.

    Both are NaN too if they are too great for a float. The mean of equal values is that value, to the last
    bit.

    Example:
        >>> mean_sd([0.1, 0.1, None, 0.1])
        (0.1, 0.0)
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return math.nan, math.nan
    try:
        mean = min(max(fmean(known), min(known)), max(known))  # rounding may lead out of that range
        return mean, stdev(known) if len(known) > 1 else math.nan
    except OverflowError:
        return math.nan, math.nan
