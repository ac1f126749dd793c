"""The command line: one file per subcommand, each of which calls one function of the library.

A subcommand imports what it runs only when it runs, so that its flags and their help need no torch.
"""

from asng.cli.main import main

__all__ = ["main"]
