"""Architectures of other libraries, searched: see `run.py`."""
