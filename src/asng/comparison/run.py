"""All cells of a benchmark in a run folder, several at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

from asng.black_box.processes import process_pool
from asng.black_box.run_log import refuse_earlier_run
from asng.checks import integer_at_least, one_of
from asng.comparison.cell import Cell, run_cell
from asng.comparison.methods import METHODS, applies
from asng.comparison.problems import PROBLEMS
from asng.comparison.settings import BenchmarkSettings
from asng.comparison.store import CellStore
from asng.errors import InputError, RunError

__all__ = ["run_benchmark"]


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
        seeds: One or more, all different, each >= 0; the same for all methods.
        workers: Processes, >= 1; of no influence on what is found.
        resume: Go on with what is in the folder: finished cells are not run again.
        redo: Methods of the settings whose finished cells are run again; with `resume` only.
        show: Is told of finished cells and their number in all, first before any is run.

    Returns:
        The run folder.

    Raises:
        InputError: An argument is not as described; nothing was written.
        RunError: The folder holds an earlier run, a damaged one, none to resume, or one that another process
            writes to; a library is missing, or a process was killed.

    Example:
        >>> import tempfile
        >>> small = BenchmarkSettings(problems=("onemax",), methods=("random", "(1+1)-EA"), budget=20)
        >>> folder = run_benchmark(small, tempfile.mkdtemp(), seeds=[0, 1])
        >>> len((folder / "benchmark.jsonl").read_text().splitlines())
        4
    """
    integer_at_least("workers", workers, 1)
    for seed in seeds:
        integer_at_least("seed", seed, 0)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected one or more different integers, got {list(seeds)!r}.")
    for method in redo:
        one_of("redo", method, settings.methods)  # of others the runs would be gone, and not come again
    if redo and not resume:
        raise InputError(
            f"redo: expected resume beside it, got {list(redo)!r} alone. Add --resume, or leave it out."
        )
    folder = Path(run_dir)
    if not resume:
        refuse_earlier_run(folder)
    elif not (folder / "benchmark.jsonl").exists():
        raise RunError(
            f"{folder}: expected a run folder with a benchmark.jsonl to go on with, found none. Check the "
            "path."
        )
    cells = _cells(settings, seeds)
    with closing(CellStore(folder, redo=redo)) as store:
        left = [cell for cell in cells if cell not in store]
        done = len(cells) - len(left)
        tell = show or (lambda done, total: None)
        tell(done, len(cells))
        for cell, row in _run(left, workers):
            store.add(cell, row)
            done += 1
            tell(done, len(cells))
    return folder


def _cells(settings: BenchmarkSettings, seeds: Sequence[int]) -> list[Cell]:
    """Return what is to be run, a problem after the other.

    Each problem and method is made once, which tells of missing libraries before anything runs.
    """
    cells = []
    for problem in settings.problems:
        space = PROBLEMS[problem]().space
        for name in settings.methods:
            if applies(name, space):
                budget = min(settings.budget, METHODS[name].most or settings.budget)
                METHODS[name].make(space, seeds[0], budget)
                cells += [Cell(problem, name, seed, budget) for seed in seeds]
    return cells


def _run(cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, dict[str, Any]]]:
    if workers == 1 or len(cells) < 2:
        for cell in cells:
            yield cell, run_cell(cell)
        return
    with process_pool(min(workers, len(cells))) as pool:
        try:
            waiting = {pool.submit(run_cell, cell): cell for cell in cells}
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenExecutor as error:
            raise RunError(
                "benchmark: expected every process to finish its cell, but one was killed. Go on by "
                "--resume, with fewer --workers."
            ) from error
