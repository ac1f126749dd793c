"""asng benchmark: compare ASNG with other methods on known problems."""

from collections.abc import Sequence
from contextlib import ExitStack

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.cli.runs import add_run_flags, part_of, seeds_of
from asng.experiments.benchmark import BenchmarkSettings, begun_benchmark, run_benchmark

__all__ = ["add_flags", "run"]


SEEDS = 20


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    add_run_flags(parser, run_dir="runs/benchmark", seeds=SEEDS, overwrite=False)
    parser.add_argument("--redo", type=list[str], default=[], help="with --resume: methods to run again")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_settings(BenchmarkSettings)


def run(arguments: Namespace) -> None:
    """Run all cells, or what is left of them, and print the outcome."""
    from asng.cli.tell import tell_outcome
    from asng.training.progress import Bar, progress_bar

    seeds: Sequence[int] = seeds_of(arguments)
    settings = BenchmarkSettings(**part_of(arguments, BenchmarkSettings))
    if arguments.resume and (settings, arguments.seed, arguments.seeds) == (BenchmarkSettings(), 0, SEEDS):
        settings, seeds = begun_benchmark(arguments.run_dir) or (settings, seeds)
    with ExitStack() as stack:
        bars: list[Bar] = []

        def show(done: int, total: int) -> None:
            if not bars:  # not earlier: an error would leave an empty bar above it
                bar = progress_bar("benchmark, runs", total, show=not arguments.quiet)
                bars.append(stack.enter_context(bar))
            bars[0].update(done)

        folder = run_benchmark(
            settings,
            arguments.run_dir,
            seeds=seeds,
            workers=arguments.workers,
            resume=arguments.resume,
            redo=arguments.redo,
            show=show,
        )
    tell_outcome(folder)
