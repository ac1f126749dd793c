"""Run the command `asng` by `python -m asng`."""

import sys

from asng.cli import main

if __name__ == "__main__":
    sys.exit(main())
