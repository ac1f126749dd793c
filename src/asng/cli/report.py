"""asng report: write the report of a run, or serve it while the run continues."""

import signal
import sys

from jsonargparse import Namespace

from asng.cli.parsing import NearestNames
from asng.cli.terminal import Terminal
from asng.errors import InputError

__all__ = ["add_flags", "run"]


def add_flags(parser: NearestNames) -> None:
    """Add the flags of this subcommand."""
    parser.add_argument("run_dir", type=str, help="a run folder")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="write no file; serve the report on this machine while the run continues, until ctrl-C",
    )
    parser.add_argument(
        "--port",
        type=int | None,
        default=None,
        help="with --watch: port on 127.0.0.1; 0 for any free port (default: 8421)",
    )


def run(arguments: Namespace) -> None:
    """Write the page and print the table, or serve the page."""
    from asng.cli.tell import KINDS
    from asng.report import summary_table, write_report

    console = Terminal()
    if arguments.watch:
        _watch(arguments, console)
        return
    if arguments.port is not None:
        raise InputError(f"port: expected only with --watch, got {arguments.port} without it. Add --watch.")
    path = write_report(arguments.run_dir, kinds=KINDS)
    console.print(summary_table(arguments.run_dir, kinds=KINDS))
    console.print(f"wrote {path}", markup=False)


def _watch(arguments: Namespace, console: Terminal) -> None:
    from asng.cli.tell import KINDS
    from asng.report import watch_report
    from asng.training.signals import Terminated

    def tell(address: str) -> None:
        console.print(f"{address} shows {arguments.run_dir}; press ctrl-C to stop", markup=False)
        sys.stdout.flush()

    port = {} if arguments.port is None else {"port": arguments.port}
    try:
        watch_report(arguments.run_dir, kinds=KINDS, ready=tell, **port)
    except KeyboardInterrupt as stopped:
        print(f"asng: {arguments.run_dir} is no longer shown. A run in it continues.", file=sys.stderr)
        # Exit here: main would report that a run was stopped.
        number = signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT
        sys.exit(128 + number)
