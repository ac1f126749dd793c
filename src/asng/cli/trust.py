"""The names of classes and functions that a run folder may have imported."""

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames

__all__ = ["add_trust_flag", "trusted_names"]

_NAMING = ("model.import", "data.import", "loss", "batch_loss", "minimize", "maximize")


def add_trust_flag(parser: NearestNames) -> None:
    """Add the flag `--trust`."""
    parser.add_argument(
        "--trust",
        type=str,
        default="",
        metavar="NAMES",
        help="import paths, separated by commas, that the run's config.yaml may have imported and called",
    )


def trusted_names(arguments: Namespace) -> frozenset[str]:
    """Return what the user has named: by `--trust`, and by `--model` and its like."""
    named = {name.strip() for name in arguments.trust.split(",")}
    return frozenset(named | {str(arguments[key]) for key in _NAMING if key in arguments})
