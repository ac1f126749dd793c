"""Settings of the whole suite."""

import os

# Two workers on two cores: more threads each would only fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

from hypothesis import settings

settings.register_profile("asng", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("asng")
