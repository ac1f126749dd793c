"""Show the outcome of a run as a table in the terminal."""

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from asng.report.comparison import beside_baseline, compare, seed_worth
from asng.report.excerpts import MOST_COLUMNS, MOST_ROWS, cut
from asng.report.reading import Run
from asng.report.verdict import cost_words, seeds_verdict, verdict, worth_words
from asng.report.words import UNKNOWN, about, count, duration, gain_words, plus_minus, score, spread
from asng.report.worth import mean_worth
from asng.runs.results import FoundAndRandom, Result, SeedScore, Summary, mean_sd

__all__ = ["cell", "run_rows", "run_table", "search_seconds", "seed_headings", "seed_rows", "seeds_table"]


def run_table(run: Run, title: Text) -> Table:
    """Return a table of found against random, with the verdict below."""
    table = Table(
        title=title,
        caption=Text(verdict(run.result, run.log.end.chance if run.log.end else None)),
        caption_justify="left",
        show_header=False,
    )
    table.add_column()
    table.add_column(justify="right")
    for name, value in run_rows(run):
        table.add_row(cell(name), cell(value))
    return table


def run_rows(run: Run) -> list[tuple[str, str]]:
    """Return what is known of the found network, the random ones and the baseline as (name, text) pairs."""
    result, comparison = run.result, compare(run.result)
    found = result.found
    rows = [(f"found ({result.metric})", score(found.score if found else None))]
    if found is not None:
        rows += [(f"found ({name})", score(value)) for name, value in [*found.others.items()][:MOST_COLUMNS]]
    if not math.isnan(result.inherited):
        rows.append(("with the supernet's weights", score(result.inherited)))
    if comparison is not None:
        rows.append((f"random, mean of {comparison.peers}", plus_minus(comparison.mean, comparison.sd)))
        rows += [(f"random ({name})", words) for name, words in _others_of_peers(result)]
        rows.append(("gain", gain_words(comparison.gain)))
        rows.append(("rank", comparison.place.removeprefix("rank ")))
        rows.append(("worth in random networks", worth_words(comparison.worth)))
        if not math.isnan(comparison.trainings):
            rows.append(("cost of the search", cost_words(comparison.trainings)))
            rows.append(("worth per training", about(comparison.worth.value / comparison.trainings)))
    if (beside := beside_baseline(result)) is not None:
        rows += [("your baseline", score(beside.score)), ("gain over it", gain_words(beside.gain))]
    rows.append(("parameters", count(found.parameters if found else None)))
    rows.append(("search time", duration(search_seconds(run))))
    rows.append(("training time", duration(found.seconds if found else math.nan)))
    return rows


def _others_of_peers(result: Result) -> list[tuple[str, str]]:
    """Return the further scores of the random networks, mean +- sd."""
    names = list(dict.fromkeys(name for peer in result.random for name in peer.others))[:MOST_COLUMNS]
    means = {name: mean_sd([peer.others.get(name) for peer in result.random]) for name in names}
    return [(name, plus_minus(*means[name])) for name in names]


def search_seconds(run: Run) -> float:
    """Return how long the search took, from its result or else the last event with a time; NaN if unknown."""
    if not math.isnan(run.result.search_seconds):
        return run.result.search_seconds
    log = run.log
    times = [*log.steps.seconds[-1:].tolist(), *(one.seconds for one in log.finalists)]
    times += [log.end.seconds] if log.end else []
    return max((time for time in times if time is not None and not math.isnan(time)), default=math.nan)


def seeds_table(summary: Summary, title: Text) -> Table:
    """Return a table with one row per seed, and the verdict below."""
    table = Table(title=title, caption=Text(seeds_verdict(summary)), caption_justify="left")
    for heading in seed_headings(summary):
        table.add_column(cell(heading), justify="right")
    for row in seed_rows(summary):
        table.add_row(*map(cell, row))
    return table


def cell(words: str) -> Text:
    """Return the text of a cell, cut if long; as Text, since square brackets in it are not markup."""
    return Text(cut(words))


def seed_headings(summary: Summary) -> list[str]:
    """Return the headings of the columns of `seed_rows`."""
    others = [f"{what} ({name})" for name in _other_names(summary) for what in ("found", "random")]
    head = ["seed", f"found ({summary.metric})", f"random ({summary.metric})", "gain", "inherited"]
    return [*head, *(name for name, _ in _where_known(summary)), *others]


def seed_rows(summary: Summary) -> list[list[str]]:
    """Return found, random, gain and inherited of each seed as text, then what only some runs have.

    These are the worth, the cost in trainings, the baseline, and found and random by further scores. Nothing
    says whether those are better if higher, so that they have no gain. The last row has mean +- sd over the
    seeds; for random networks, of the seeds' means; for worths, the worth of the mean rank.
    """
    sign = 1 if summary.higher_is_better else -1
    seeds, names, known = summary.seeds, _other_names(summary), _where_known(summary)
    gains = [sign * (seed.found - seed.random_mean) for seed in seeds]
    rows = []
    for number, (seed, gain) in enumerate(zip(seeds[:MOST_ROWS], gains, strict=False)):
        others = [words for name in names for words in _pair(_other(seed, name))]
        others = [*(column[number] for _, column in known), *others]
        rows.append([str(seed.seed), *_pair(seed), gain_words(gain), score(seed.inherited), *others])
    others = [words for name in names for words in _pair_of_means([_other(s, name) for s in seeds])]
    others = [*(column[-1] for _, column in known), *others]
    inherited = plus_minus(*mean_sd([seed.inherited for seed in seeds]))
    last = ["mean +- sd", *_pair_of_means(seeds), plus_minus(*mean_sd(gains), spread), inherited, *others]
    return [*rows, last]


def _other_names(summary: Summary) -> list[str]:
    return summary.others[: MOST_COLUMNS // 2]  # each has two columns


def _where_known(summary: Summary) -> list[tuple[str, list[str]]]:
    """Return worth, cost and baseline as columns of name and cells, if any seed has them."""
    seeds, higher = summary.seeds, summary.higher_is_better
    worths = [w.value if w else math.nan for w in (seed_worth(s, higher_is_better=higher) for s in seeds)]
    costs, baselines = [seed.trainings for seed in seeds], [seed.baseline for seed in seeds]
    known = [value for value in worths if not math.isnan(value)]
    columns = [
        ("worth", [*map(about, worths), about(mean_worth(known)) if known else UNKNOWN]),
        ("cost", [*map(about, costs), about(mean_sd(costs)[0])]),
        ("baseline", [*map(score, baselines), plus_minus(*mean_sd(baselines))]),
    ]
    return [(name, cells) for name, cells in columns if set(cells) != {UNKNOWN}]


def _other(seed: SeedScore, name: str) -> FoundAndRandom:
    return seed.others.get(name, FoundAndRandom())


def _pair(one: FoundAndRandom) -> list[str]:
    return [score(one.found), plus_minus(one.random_mean, one.random_sd)]


def _pair_of_means(all_seeds: Sequence[FoundAndRandom]) -> list[str]:
    found, random = [one.found for one in all_seeds], [one.random_mean for one in all_seeds]
    return [plus_minus(*mean_sd(found)), plus_minus(*mean_sd(random))]
