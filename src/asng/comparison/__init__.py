"""ASNG beside other methods on known problems: `asng benchmark`."""
