"""The command line: one file a subcommand, each of which calls one function of the library."""

from asng.cli.main import main

__all__ = ["main"]
