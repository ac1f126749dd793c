"""Fixtures of the search tests."""

import signal

import pytest


@pytest.fixture(autouse=True)
def python_signals():
    """Handlers as in a terminal: a job in the background starts with SIGINT ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
