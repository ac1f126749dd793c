"""Gather the words and figures of a run for the templates."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
from msgspec.structs import replace

from asng.errors import RunError
from asng.report.comparison import compare
from asng.report.excerpts import MOST_COLUMNS, MOST_FIGURES, MOST_ROWS, cut, excerpt
from asng.report.figures.curves import delta_curve, entropy_curve, loss_curves
from asng.report.figures.graph import colours_of, draw_graph, drawable
from asng.report.figures.heatmap import band, heat_map, room_for
from asng.report.figures.importance import importance_figure, samples_of_search
from asng.report.figures.strip import Row, strip_plot, trade_plot
from asng.report.figures.svg import drawn
from asng.report.next_steps import next_steps
from asng.report.reading import Run
from asng.report.settings import Settings, settings_of
from asng.report.table import search_seconds, seed_headings, seed_rows
from asng.report.verdict import cost_words, seeds_verdict, verdict
from asng.report.words import (
    about,
    count,
    describe,
    duration,
    flatten,
    mean_and_spread,
    score,
    share,
    size_of,
)
from asng.runs.events import EndEvent, FinalistEvent, Normal
from asng.runs.folder import GRAPHS
from asng.runs.history import Log
from asng.runs.results import Graph, Pictures, Result, Scored, SeedScore
from asng.space import Categorical, Integer, Real

__all__ = ["run_page", "seeds_page", "strip_of"]

_MOST_GRAPHS = 16
_MOST_PICTURES = 200
_MOST_RESUMES = 20
_ROADS = {
    "theta": "drawn from theta",
    "uniform": "drawn uniformly",
    "largest": "the largest within the budgets",
    "neighbour": "neighbour of the best so far",
}


def run_page(run: Run) -> Mapping[str, Any]:
    """Return the values for the template of one search."""
    comparison, left_out = compare(run.result), list[str]()
    return {
        "left_out": left_out,  # filled below
        "title": run.folder.resolve().name,
        "state": _state(run.log),
        "verdict": verdict(run.result, run.log.end.chance if run.log.end else None),
        "mood": _mood(comparison.gain if comparison else 0.0),
        "tiles": _tiles(run),
        "comparison": _comparison(run.result),
        "trade": _trade(run.result),
        "next_steps": next_steps(run),
        "networks": excerpt(_networks(run.result), MOST_ROWS, "networks", left_out),
        "metric": run.result.metric,
        "has_baseline": run.result.baseline is not None,
        "others": run.result.other_names[:MOST_COLUMNS],
        "finalists": _finalist_rows(
            excerpt(run.log.finalists, MOST_ROWS, "finalists", left_out), run.architecture
        ),
        "finalists_differ_in": _told_apart(run.log.finalists),
        "pictures": _pictures(run, left_out),
        "space": _space(run.log),
        "variables": _variables(run, left_out),
        "graphs": _graphs(run, left_out),
        "importance": _importance(run),
        "curves": _curves(run.log),
        "thetas": _thetas(run, left_out),
        "settings": _settings(run),
        "circumstances": _circumstances(run),
    }


def seeds_page(run: Run, linked: Mapping[str, Run]) -> Mapping[str, Any]:
    """Return the values for the template over several seeds; `linked` are those with a page, by folder."""
    summary = run.summary
    if summary is None or not summary.seeds:
        return {
            "title": run.folder.resolve().name,
            "verdict": "No seed has a score yet.",
            "mood": "unknown",
        } | {"headings": [], "rows": [], "links": [], "strip": "", "settings": settings_of(run.config)}
    gains = [s.found - s.random_mean for s in summary.seeds if not math.isnan(s.found - s.random_mean)]
    left_out = list[str]()
    rows = [_row_of(seed, linked) for seed in excerpt(summary.seeds, MOST_FIGURES, "seeds", left_out)]
    strip = strip_plot(rows, metric=summary.metric, higher_is_better=summary.higher_is_better)
    return {
        "title": run.folder.resolve().name,
        "verdict": seeds_verdict(summary),
        "left_out": left_out,
        "mood": _mood(sum(gains) * (1 if summary.higher_is_better else -1)),
        "headings": seed_headings(summary),
        "rows": seed_rows(summary),
        "links": [seed.folder if seed.folder in linked else None for seed in summary.seeds[:MOST_ROWS]]
        + [None],
        "strip": drawn(strip),
        "settings": settings_of(run.config),
    }


def _mood(gain: float) -> str:
    return "good" if gain > 0 else "bad" if gain < 0 else "unknown"


def _state(log: Log) -> str:
    if log.end is not None:
        reasons = {
            "finished": "finished",
            "entropy": "stopped early: the distribution converged (entropy)",
            "patience": "stopped early: no improvement for too long (patience)",
            "interrupted": "interrupted",
        }
        reason, step = log.end.reason or "ended", log.end.step
        ended = reasons.get(reason, reason)
        if step != 0 or not log.finalists:  # with finalists alone, there were no steps of a search
            ended += f" at step {'?' if step is None else step}"
        return f"{ended}{_over_budget(log.end)}{'' if log.end.compiled is None else f'; {log.end.compiled}'}"
    if len(log.steps):
        return f"not ended: the last step logged is {log.steps.step[-1]:.0f}"
    return "no step logged"


def _over_budget(end: EndEvent) -> str:
    if end.over_budget is None or not end.evaluated:
        return ""
    return f"; {end.over_budget} of {end.evaluated} candidates were over the budget"


def _tiles(run: Run) -> list[tuple[str, str]]:
    result, comparison = run.result, compare(run.result)
    tiles = []
    if result.found is not None:
        tiles.append((f"found, {result.metric}", score(result.found.score)))
    if comparison is not None:
        tiles.append((f"mean of {comparison.peers} random", score(comparison.mean)))
        tiles.append(("rank", comparison.place.removeprefix("rank ")))
        tiles.append(("worth in random networks", about(comparison.worth.value)))
        if not math.isnan(comparison.trainings):
            tiles.append(("cost of the search", cost_words(comparison.trainings)))
    if result.baseline is not None:
        tiles.append(("your baseline", score(result.baseline.score)))
    if result.found is not None:
        tiles.append(("parameters", count(result.found.parameters)))
    tiles.append(("search time", duration(search_seconds(run))))
    if len(run.log.steps):
        tiles.append(("steps", count(int(run.log.steps.step[-1]))))
    return tiles


def _comparison(result: Result) -> str:
    if result.found is None or math.isnan(result.found.score):
        return ""
    return drawn(strip_of(result))


def _trade(result: Result) -> str:
    """Draw scores over numbers of parameters, if the networks differ in these."""
    known = {
        name: [
            (float(one.parameters), one.score)
            for one in networks
            if one is not None and one.parameters is not None and math.isfinite(one.score)
        ]
        for name, networks in (
            ("random", result.random),
            ("baseline", [result.baseline]),
            ("found", [result.found]),
        )
    }
    if len({size for points in known.values() for size, _ in points}) < 2:
        return ""
    return drawn(trade_plot(known, metric=result.metric))


def strip_of(result: Result) -> str:
    """Draw the found network beside the random ones and the baseline, as far as they have scores."""
    c, found = compare(result), result.found or Scored()
    row = Row(
        name="",
        found=found.score,
        mean=c.mean if c else math.nan,
        sd=c.sd if c else math.nan,
        peers=result.peers,
        baseline=_baseline(result).score,
    )
    return strip_plot([row], metric=result.metric, higher_is_better=result.higher_is_better)


def _row_of(seed: SeedScore, linked: Mapping[str, Run]) -> Row:
    run = linked.get(seed.folder or "")
    peers = run.result.peers if run else seed.peers
    return Row(f"seed {seed.seed}", seed.found, seed.random_mean, seed.random_sd, peers, seed.baseline)


def _baseline(result: Result) -> Scored:
    return result.baseline or Scored()


def _networks(result: Result) -> list[tuple[str, str, list[str], str, str]]:
    named = [("found", result.found)] if result.found is not None else []
    named += [("baseline", result.baseline)] if result.baseline is not None else []
    sign = -1 if result.higher_is_better else 1
    best_first = sorted(result.random, key=lambda peer: (math.isnan(peer.score), sign * peer.score))
    best_first = best_first[: MOST_ROWS + 1]
    named += [("random", peer) for peer in best_first]
    others = result.other_names[:MOST_COLUMNS]
    rows = [
        (
            name,
            score(n.score),
            [score(n.others.get(other)) for other in others],
            count(n.parameters),
            duration(n.seconds),
        )
        for name, n in named
    ]
    if not math.isnan(result.inherited):
        rows.append(("found, inherited", score(result.inherited), [""] * len(others), "", ""))
    return rows


def _told_apart(finalists: Sequence[FinalistEvent]) -> list[str]:
    """Return the variables in which finalists differ, at most twelve."""
    first = finalists[0].architecture if finalists else {}
    having = Counter(name for finalist in finalists for name in finalist.architecture)
    others = {
        n for f in finalists for n, value in f.architecture.items() if n not in first or first[n] != value
    }
    differing = (name for name, count in having.items() if count < len(finalists) or name in others)
    return list(islice(differing, MOST_COLUMNS))


def _finalist_rows(
    finalists: Sequence[FinalistEvent], found: Mapping[str, Any] | None
) -> list[tuple[bool, list[str]]]:
    """Return for each finalist whether it is the found one, and its row: origin, scores, differing values."""
    names = _told_apart(finalists)
    return [
        (
            found is not None and dict(finalist.architecture) == dict(found),
            [
                _ROADS.get(finalist.road, finalist.road),
                score(finalist.shared),
                score(finalist.alone),
                score(finalist.longer) if finalist.longer is not None else "",
                *(_value(finalist.architecture.get(name)) for name in names),
            ],
        )
        for finalist in finalists
    ]


def _pictures(run: Run, left_out: list[str]) -> Pictures | None:
    if run.pictures is None:
        return None
    rows = excerpt(run.pictures.rows, _MOST_PICTURES, "pictures", left_out)
    return replace(run.pictures, rows=tuple(rows))


def _space(log: Log) -> list[tuple[str, str]]:
    if log.space is None:
        return []
    rows = [("variables", count(len(log.space))), ("architectures", size_of(log.space))]
    if log.start.n_theta is not None:
        rows.append(("parameters of theta", count(log.start.n_theta)))
    cost = (log.end.cost if log.end is not None else None) or {}
    for limit in (log.start.costs or ())[:MOST_COLUMNS]:
        found = cost.get(limit.measure)
        rows.append((limit.kind, f"{limit}" + ("" if found is None else f"; found {found:g}")))
    return rows


def _variables(run: Run, left_out: list[str]) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the variables in groups: name, choices, found value, and how sure theta is."""
    names = excerpt(list(run.log.space or run.architecture or {}), MOST_ROWS, "variables", left_out)
    last = run.log.theta[-1][1] if run.log.theta else {}
    rows = []
    for name in names:
        variable = run.log.space[name] if run.log.space else None
        found = (run.architecture or {}).get(name)
        sure: float | None = None
        theta = last.get(name)
        if isinstance(variable, Categorical) and isinstance(theta, tuple) and found in variable.choices:
            sure = theta[variable.choices.index(found)]
        spread = ""
        if isinstance(theta, Normal) and isinstance(variable, (Integer, Real)):
            spread = mean_and_spread(theta.mean, theta.std, log=variable.log)
        rows.append(
            {
                "name": name,
                "choices": describe(variable) if variable is not None else "",
                "found": "" if run.architecture is None else _value(found),
                "sure": share(sure) if sure is not None else spread,
                "bar": f"{100 * sure:.0f}" if sure is not None and not math.isnan(sure) else "",
            }
        )
    return _grouped(rows)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else cut(value)


def _grouped(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Group rows by the part of their name before the first dot; one group if that makes too many."""
    rows = sorted(rows, key=lambda row: _prefix(row["name"]) == "")
    groups = [(prefix, list(group)) for prefix, group in groupby(rows, key=lambda row: _prefix(row["name"]))]
    if len(groups) > max(1, len(rows) // 2):
        return [("", list(rows))]
    return [(prefix or ("others" if len(groups) > 1 else ""), group) for prefix, group in groups]


def _prefix(name: str) -> str:
    return name.split(".", 1)[0] if "." in name else ""


def _graphs(run: Run, left_out: list[str]) -> list[tuple[str, str]]:
    graphs = [graph for graph in run.graphs if graph.nodes]
    try:
        return _drawn_graphs(graphs, left_out)
    except RunError as error:  # a graph cannot be laid out
        raise RunError(f"{run.folder / GRAPHS}: {error}") from error


def _drawn_graphs(graphs: list[Graph], left_out: list[str]) -> list[tuple[str, str]]:
    most = min(drawable(graphs[:_MOST_GRAPHS]), _MOST_GRAPHS)
    graphs = list(excerpt(graphs, most, "graphs", left_out))
    colours = colours_of(graphs)
    return [
        (graph.title, drawn(draw_graph(graph, colours, key=f"graph{index}")))
        for index, graph in enumerate(graphs)
    ]


def _importance(run: Run) -> str | None:
    """Draw the importance of variables; empty if too little is known, None for a search without theta."""
    if run.log.space is None or not run.log.theta:
        return None
    higher = (run.log.start.objective or {}).get("select") == "maximize"
    compared = samples_of_search(run.log, run.log.space, higher_is_better=higher)
    return drawn(importance_figure(run.log, run.log.space, compared))


def _curves(log: Log) -> dict[str, str]:
    if not len(log.steps):
        return {}
    figures = {
        "entropy": entropy_curve(log.steps),
        "delta": delta_curve(log.steps),
        "loss": loss_curves(log.steps, _objective(log)),
    }
    if not (log.steps.delta > 0.0).any():  # the optimiser has no step size
        figures["delta"] = ""
    return {name: drawn(figure) for name, figure in figures.items()}


def _objective(log: Log) -> str | None:
    """Return the name of the objective if it is not the loss, else None."""
    selected = log.start.objective or {}
    if selected.get("select") not in ("minimize", "maximize"):
        return None
    return str(selected.get("function", "objective")).rpartition(".")[2]


def _thetas(run: Run, left_out: list[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    if not run.log.theta:
        return []
    rows = []
    variables = [] if run.log.space is None else run.log.space.values()
    room = max([50.0, *(room_for(v.choices) for v in variables if isinstance(v, Categorical))])
    names = excerpt(list(run.log.theta[-1][1]), MOST_FIGURES, "variables of theta", left_out)
    for index, name in enumerate(names):
        found = (run.architecture or {}).get(name)
        figure = _theta_figure(run.log, name, found, room=room, key=f"theta{index}")
        rows.append({"name": name, "figure": drawn(figure)})
    return _grouped(rows)


def _theta_figure(log: Log, name: str, found: Any, *, room: float, key: str) -> str:
    records = [(step, theta[name]) for step, theta in log.theta if name in theta]
    steps = [step for step, _ in records]
    variable = log.space[name] if log.space is not None else None
    label = f"theta of {name} over the steps"
    if isinstance(records[-1][1], Normal):
        if variable is None or isinstance(variable, Categorical):
            return ""
        means = [theta for _, theta in records if isinstance(theta, Normal)]
        return band(steps, means, variable, room=room, key=key, label=label)
    probabilities = np.array([theta for _, theta in records], dtype=float)
    choices = variable.choices if isinstance(variable, Categorical) else range(probabilities.shape[1])
    return heat_map(steps, probabilities, choices, found=found, room=room, key=key, label=label)


def _settings(run: Run) -> Settings:
    """Return the settings of config.yaml; for a search in Python, those in the log too."""
    config, start = dict(run.config), run.log.start
    if start.settings and "search" not in config:
        config["search"] = start.settings
        if start.defaults is not None:
            config["defaults"] = {"search": start.defaults}
    return settings_of(config)


def _circumstances(run: Run) -> list[tuple[str, str]]:
    start = run.log.start
    rows = [("folder", run.folder.resolve().name)]
    rows += [
        (n, str(value)) for n, value in (("started", start.time), ("seed", start.seed)) if value is not None
    ]
    if run.log.resumed:
        rows.append(("resumed at step", ", ".join(str(step) for step in run.log.resumed[-_MOST_RESUMES:])))
    rows.append(("search time", duration(search_seconds(run))))
    for name, values in (("versions", start.versions), ("machine", start.machine)):
        rows += flatten(values, name) if values else []
    return rows
