"""Scores of a run: result.json of one search, summary.json of several seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asng.errors import RunError
from asng.runs.fields import as_list, as_object, number, text, whole
from asng.runs.files import read_json, write_json
from asng.runs.folder import RESULT, SUMMARY

__all__ = [
    "FoundAndRandom",
    "Result",
    "Scored",
    "SeedScore",
    "Summary",
    "read_result",
    "read_summary",
    "write_result",
    "write_summary",
]


@dataclass(frozen=True)
class Scored:
    """One network trained alone.

    Attributes:
        score: In the metric of the run; NaN if it has none yet.
        parameters: How many weights it has.
        seconds: How long its training took; NaN if unknown.
        architecture: Name to value, empty if unknown.
        others: Further scores, by name.
    """

    score: float
    parameters: int | None
    seconds: float
    architecture: Mapping[str, Any]
    others: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a search came to; every part may be missing.

    Attributes:
        metric: Name of the score.
        higher_is_better: Whether a higher score is better.
        seed: Seed of the run.
        search_seconds: How long the search took; NaN if unknown.
        steps: How many steps it took.
        inherited: Score of the found network with the supernet's weights; NaN if unknown.
        found: The found network trained alone.
        random: Random networks of the same space trained alike.
    """

    metric: str
    higher_is_better: bool
    seed: int | None
    search_seconds: float
    steps: int | None
    inherited: float
    found: Scored | None
    random: tuple[Scored, ...]


@dataclass(frozen=True)
class FoundAndRandom:
    """One score of a found network, and mean and standard deviation of its peers'; NaN where unknown."""

    found: float
    random_mean: float
    random_sd: float


@dataclass(frozen=True)
class SeedScore(FoundAndRandom):
    """The scores of one seed of several; NaN where unknown.

    Attributes:
        seed: The seed.
        inherited: Score of the found network with the supernet's weights.
        folder: Name of its run folder, or None.
        others: Further scores, by name.
    """

    seed: int
    inherited: float
    folder: str | None
    others: Mapping[str, FoundAndRandom] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """The scores of several seeds of the same search."""

    metric: str
    higher_is_better: bool
    seeds: tuple[SeedScore, ...]

    @property
    def others(self) -> list[str]:
        """Names of the further scores that any seed has."""
        return list(dict.fromkeys(name for seed in self.seeds for name in seed.others))


def read_result(path: Path) -> Result | None:
    """Read result.json, or return None where there is none.

    Raises:
        RunError: The file is no JSON object, or a field is of another type.
    """
    if not path.exists():
        return None
    where = str(path)
    data = as_object(read_json(path), where)
    found = data.get("found")
    random = as_list(data.get("random") or [], f"{where}, random")
    return Result(
        metric=text(data, "metric", where, "score"),
        higher_is_better=_direction(data, where),
        seed=whole(data, "seed", where),
        search_seconds=number(data, "search_seconds", where),
        steps=whole(data, "steps", where),
        inherited=number(data, "inherited", where),
        found=None if found is None else _scored(found, f"{where}, found"),
        random=tuple(_scored(one, f"{where}, random[{i}]") for i, one in enumerate(random)),
    )


def read_summary(path: Path) -> Summary | None:
    """Read summary.json, or return None where there is none.

    Raises:
        RunError: The file is no JSON object, a field is of another type, or a folder is not one directly
            below.
    """
    if not path.exists():
        return None
    where = str(path)
    data = as_object(read_json(path), where)
    seeds = as_list(data.get("seeds") or [], f"{where}, seeds")
    return Summary(
        metric=text(data, "metric", where, "score"),
        higher_is_better=_direction(data, where),
        seeds=tuple(_seed_score(one, f"{where}, seeds[{i}]", i) for i, one in enumerate(seeds)),
    )


def _direction(data: Mapping[str, Any], where: str) -> bool:
    value = data.get("higher_is_better", True)
    if not isinstance(value, bool):
        raise RunError(f"{where}, higher_is_better: expected true or false, got {value!r:.80}.")
    return value


def _scored(value: Any, where: str) -> Scored:
    data = as_object(value, where)
    others = as_object(data.get("others") or {}, f"{where}, others")
    return Scored(
        score=number(data, "score", where),
        parameters=whole(data, "parameters", where),
        seconds=number(data, "seconds", where),
        architecture=as_object(data.get("architecture") or {}, f"{where}, architecture"),
        others={name: number(others, name, f"{where}, others") for name in others},
    )


def _seed_score(value: Any, where: str, index: int) -> SeedScore:
    data = as_object(value, where)
    seed = whole(data, "seed", where)
    folder = text(data, "folder", where, "") or None
    # A report is written there: a path out of the run folder would write elsewhere.
    if folder is not None and (folder in (".", "..") or Path(folder).name != folder or "\\" in folder):
        raise RunError(f"{where}, folder: expected the name of a folder directly below, got {folder!r}.")
    others = as_object(data.get("others") or {}, f"{where}, others")
    return SeedScore(
        **_found_and_random(data, where),
        seed=index if seed is None else seed,
        inherited=number(data, "inherited", where),
        folder=folder,
        others={name: _other(others[name], f"{where}, others, {name}") for name in others},
    )


def _other(value: Any, where: str) -> FoundAndRandom:
    return FoundAndRandom(**_found_and_random(as_object(value, where), where))


def _found_and_random(data: Mapping[str, Any], where: str) -> dict[str, float]:
    return {name: number(data, name, where) for name in ("found", "random_mean", "random_sd")}


# The files that scores are in: result.json of one search, and summary.json of the same search by seed.


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write the scores of a run, and once more into the summary that has a row of it.

    Args:
        folder: The run folder; the one above may be that of several seeds.
        result: What it came to up to now.
    """
    write_json(folder / RESULT, result)
    home = folder.resolve()  # of "." the name is wanted
    summary = home.parent / SUMMARY
    if not summary.exists():
        return
    try:
        known = read_json(summary)
        rows, mine = known["seeds"], (home.name, result["seed"])
        places = [place for place, row in enumerate(rows) if (row["folder"], row["seed"]) == mine]
    except (RunError, TypeError, LookupError):  # it is damaged, which is for the report to tell
        return
    if places:
        for place in places:
            rows[place] = _row(result, result["seed"], home.name)
        write_json(summary, known)


def write_summary(folder: Path, homes: Mapping[int, Path], *, higher_is_better: bool) -> None:
    """Write the scores of several seeds.

    Args:
        folder: Where to.
        homes: One or more: the seeds, and their run folders, each directly in `folder`.
        higher_is_better: Whether a higher score is better.
    """
    results = {seed: read_json(home / RESULT) for seed, home in homes.items()}
    rows = [_row(result, seed, homes[seed].name) for seed, result in results.items()]
    metric = next(iter(results.values()))["metric"]
    write_json(folder / SUMMARY, {"metric": metric, "higher_is_better": higher_is_better, "seeds": rows})


def _row(result: Mapping[str, Any], seed: int, home: str) -> dict[str, Any]:
    found, peers = result["found"], result["random"]
    names = [] if found is None else list(found.get("others", {}))
    others = {name: _pair(found["others"][name], [peer["others"][name] for peer in peers]) for name in names}
    row = {
        **_pair(None if found is None else found["score"], [peer["score"] for peer in peers]),
        "inherited": result["inherited"],
        **({"others": others} if others else {}),
    }
    return {**row, "seed": seed, "folder": home}


def _pair(found: float | None, peers: Sequence[float]) -> dict[str, float | None]:
    return {
        "found": found,
        "random_mean": statistics.fmean(peers) if peers else None,
        "random_sd": statistics.stdev(peers) if len(peers) > 1 else None,
    }
