"""asng benchmark: ASNG beside other methods on known problems."""

from contextlib import ExitStack
from dataclasses import fields

from jsonargparse import Namespace

from asng.checks import integer_at_least
from asng.cli.parsing import NearestNames
from asng.cli.tell import tell_outcome
from asng.experiments.benchmark import BenchmarkSettings, run_benchmark
from asng.training.progress import Bar, progress_bar

__all__ = ["HELP", "make_parser", "run"]

HELP = "run ASNG and other methods on known problems, and compare their evaluations"


def make_parser() -> NearestNames:
    """Return the parser of this subcommand."""
    parser = NearestNames(prog="asng benchmark", description=HELP[0].upper() + HELP[1:] + ".")
    parser.add_argument("--run-dir", type=str, default="runs/benchmark", help="folder of this run")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=20, help="runs of every method, from --seed on")
    parser.add_argument(
        "--resume", action="store_true", help="go on in --run-dir: finished cells are not run again"
    )
    parser.add_argument("--redo", type=list[str], default=[], help="with --resume: methods to run again")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--config", action="config", help="YAML file with any of these settings")
    parser.add_settings(BenchmarkSettings)
    return parser


def run(arguments: Namespace) -> None:
    """Run all cells, or what is left of them, and say how it went."""
    integer_at_least("seeds", arguments.seeds, 1)
    names = [field.name for field in fields(BenchmarkSettings)]
    settings = BenchmarkSettings(**{name: arguments[name] for name in names})
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
            seeds=range(arguments.seed, arguments.seed + arguments.seeds),
            workers=arguments.workers,
            resume=arguments.resume,
            redo=arguments.redo,
            show=show,
        )
    tell_outcome(folder)
