"""Settings of the whole suite."""

import os
import signal

# Two workers on two cores: more threads each would only fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell has what it starts in the background ignore ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

settings.register_profile("asng", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("asng")


@pytest.fixture(autouse=True)
def python_signals():
    """Handlers as in a terminal, whatever tests before have left; a background job ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
