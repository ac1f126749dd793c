"""The command line: one file a subcommand, each of which calls one function of the library.

A subcommand imports what it runs when it runs: its flags and their help need no torch.
"""

from asng.cli.main import main

__all__ = ["main"]
