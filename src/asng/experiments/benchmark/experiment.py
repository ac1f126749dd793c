"""Run all cells of a benchmark in a run folder, several in parallel."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from asng.black_box.processes import process_pool
from asng.checks import as_path, integer_at_least, keep_integer, one_of
from asng.errors import InputError, RunError
from asng.experiments.benchmark.methods import METHODS, applies
from asng.experiments.benchmark.problems import PROBLEMS
from asng.experiments.benchmark.store import BenchmarkStore
from asng.experiments.benchmark.trial import BenchmarkCell, Trial, run_trial
from asng.runs.config import defaults_of
from asng.runs.files import writes_into
from asng.runs.folder import (
    BENCHMARK,
    CONFIG,
    NAMES,
    read_config,
    refuse_earlier_run,
    remove_halves,
    write_config,
)
from asng.runs.stored import Count, Stored, Whole, plain, stored

__all__ = ["run_benchmark", "BenchmarkSettings"]


@dataclass(frozen=True)
class BenchmarkSettings:
    """The problems, methods and budget of a benchmark; each method runs on each problem with each seed.

    Args:
        problems: Names of problems. Default: all.
        methods: Names of methods. Default: all.
        budget: Evaluations per run, >= 1; slow methods have a smaller limit of their own.

    Raises:
        InputError: A name is unknown or occurs twice, or the budget is not as described.
    """

    problems: tuple[str, ...] = tuple(PROBLEMS)
    methods: tuple[str, ...] = tuple(METHODS)
    budget: int = 10_000

    def __post_init__(self) -> None:
        keep_integer(self, "budget", 1)
        for field, names, known in (
            ("problems", self.problems, PROBLEMS),
            ("methods", self.methods, METHODS),
        ):
            if not names or len(set(names)) < len(names):
                raise InputError(f"{field}: expected one or more different names, got {list(names)!r}.")
            for name in names:
                one_of(field, name, known)


class _Begun(Stored, frozen=True):
    """The part of config.yaml that describes a benchmark."""

    problems: tuple[str, ...]
    methods: tuple[str, ...]
    budget: Count
    seeds: tuple[Whole, ...]


def begun_benchmark(run_dir: str | Path) -> tuple[BenchmarkSettings, tuple[int, ...]] | None:
    """Return the settings and seeds with which the benchmark in a folder was started or last resumed.

    Return None if the folder does not tell: runs of older versions of asng had no config.yaml.

    Raises:
        RunError: config.yaml is damaged, belongs to another kind of run, or names problems or methods that
            this asng does not have; or the run was killed before it wrote config.yaml.
    """
    folder = as_path("run_dir", run_dir)
    if _is_bare(folder):
        raise RunError(
            f"{folder}: expected a benchmark that has begun, got one that was killed before. Begin it anew, "
            "without resume."
        )
    if not (folder / CONFIG).exists():
        return None
    config, where = read_config(folder), f"{folder / CONFIG}"
    if config["task"] != "benchmark":
        raise RunError(f"{where}: expected a run of a benchmark, got the task {config['task']!r:.80}.")
    found = stored(config.get("benchmark"), _Begun, f"{where}, benchmark")
    try:
        return BenchmarkSettings(found.problems, found.methods, found.budget), found.seeds
    except InputError as error:
        raise RunError(f"{where}: {error}") from error


def _is_bare(folder: Path) -> bool:
    path = folder / BENCHMARK
    with writes_into(folder):  # the check itself fails if the name is too long
        return path.is_file() and not path.stat().st_size and not (folder / CONFIG).exists()


def run_benchmark(
    settings: BenchmarkSettings,
    run_dir: str | Path,
    *,
    seeds: Sequence[int],
    workers: int = 1,
    resume: bool = False,
    redo: Sequence[str] = (),
    show: Callable[[int, int], None] | None = None,
) -> Path:
    """Run every method on every problem with every seed, and write `benchmark.jsonl`.

    Args:
        settings: Problems, methods, budget.
        run_dir: The run folder.
        seeds: One seed or more, all different, each >= 0; the same for all methods.
        workers: Number of processes, >= 1; it does not affect the results.
        resume: Continue the run in the folder; finished cells are not repeated.
        redo: Methods of the settings whose finished cells are repeated; only with `resume`.
        show: Called with the numbers of finished and of all cells, for the first time before any cell runs.

    Returns:
        The run folder.

    Raises:
        InputError: An argument is not as described; nothing was written.
        RunError: The folder contains an earlier run, a damaged one, none to resume, or one that another
            process writes to; a library is missing, or a process was killed.

    Example:
        >>> import tempfile
        >>> small = BenchmarkSettings(problems=("onemax",), methods=("random", "(1+1)-EA"), budget=20)
        >>> folder = run_benchmark(small, tempfile.mkdtemp(), seeds=[0, 1])
        >>> len((folder / "benchmark.jsonl").read_text().splitlines())
        4
    """
    workers = integer_at_least("workers", workers, 1)
    seeds = [integer_at_least("seed", seed, 0) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected one or more different integers, got {list(seeds)!r}.")
    for method in redo:
        one_of("redo", method, settings.methods)  # else its cells would be deleted and not run again
    if redo and not resume:
        raise InputError(
            f"redo: expected only with --resume, got {list(redo)!r} without it. Add --resume, or leave it "
            "out."
        )
    folder = as_path("run_dir", run_dir)
    if not resume:
        # An empty file without a config.yaml is from a run that was killed before it started.
        refuse_earlier_run(folder, [name for name in NAMES if name != BENCHMARK or not _is_bare(folder)])
    elif not (folder / BENCHMARK).exists():
        raise RunError(
            f"{folder}: expected a run folder with a {BENCHMARK} to continue, found none. Check the path."
        )
    cells = _cells(settings, seeds)
    with closing(BenchmarkStore(folder, redo=redo)) as store:
        remove_halves(folder)
        begun = _Begun(settings.problems, settings.methods, settings.budget, tuple(seeds))
        config = {"task": "benchmark", "benchmark": plain(begun)}
        write_config(folder, {**config, "defaults": {"benchmark": plain(defaults_of(settings))}})
        left = [cell for cell in cells if cell not in store]
        done = len(cells) - len(left)
        tell = show or (lambda done, total: None)
        tell(done, len(cells))
        for cell in _run(left, workers):
            store.add(cell)
            done += 1
            tell(done, len(cells))
    return folder


def _cells(settings: BenchmarkSettings, seeds: Sequence[int]) -> list[Trial]:
    """Return the trials to run, one problem after the other.

    Each problem and method is made once, so that missing libraries raise before anything runs.
    """
    cells = []
    for problem in settings.problems:
        made = PROBLEMS[problem]()
        for name in settings.methods:
            if applies(name, made.space):
                budget = min(settings.budget, METHODS[name].most or settings.budget)
                METHODS[name].make(made.space, seeds[0], budget, made.noise > 0.0)
                cells += [Trial(problem, name, seed, budget) for seed in seeds]
    return cells


def _run(cells: Sequence[Trial], workers: int) -> Iterator[BenchmarkCell]:
    if workers == 1 or len(cells) < 2:
        for cell in cells:
            yield run_trial(cell)
        return
    with process_pool(min(workers, len(cells))) as pool:
        try:
            for future in as_completed([pool.submit(run_trial, cell) for cell in cells]):
                yield future.result()
        except BrokenExecutor as error:
            raise RunError(
                "benchmark: expected every process to finish its cell, but one was killed. Add --resume to "
                "continue, with fewer --workers."
            ) from error
