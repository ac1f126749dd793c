"""asng evaluate: score the trained child of a run."""

from pathlib import Path

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.cli.runs import add_trust_flag, trusted_names
from asng.cli.terminal import Terminal
from asng.cli.user import UserCode, add_user_code, user_code_of

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames, named: UserCode | None = None) -> None:
    """Add the flags of this subcommand; `named` is the model and data of a search in Python."""
    parser.add_argument("run_dir", type=str, help="folder of a finished run, with its child.pt")
    parser.add_argument(
        "--data-dir",
        type=str | None,
        default=None,
        help="folder with other images of the same kind (default: the run's data)",
    )
    add_trust_flag(parser)
    add_user_code(parser, named)


def run(arguments: Namespace) -> None:
    """Load the child, score it, and print the score."""
    from asng.pipeline.train_alone import scores_of
    from asng.tasks.reopen import load_child, single_run
    from asng.training import count_parameters

    folder = Path(arguments.run_dir)
    stored = single_run(
        folder,
        network={"data_dir": arguments.data_dir},
        user=user_code_of(arguments),
        trusted=trusted_names(arguments),
    )
    child = load_child(stored, folder)
    value, further = scores_of(child, stored.task, stored.loaders, stored.seeds[0])
    others = "".join(f"{name} {other:.4f}, " for name, other in further.items())
    line = f"{stored.task.metric_on(stored.loaders)} {value:.4f} on {stored.task.data}, {others}"
    Terminal().print(f"{line}{count_parameters(child):,} parameters", markup=False)
