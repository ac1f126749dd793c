"""Signals become notes."""

import os
import signal
import threading

import pytest

from asng.training.signals import graceful


@pytest.fixture(autouse=True)
def _handlers_come_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_note_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with graceful() as interrupt:
        assert not interrupt
        os.kill(os.getpid(), number)
        assert interrupt
        assert interrupt.signal == number
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_the_second_signal_acts():
    def twice():
        with graceful():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with graceful() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interrupt


def test_other_threads_go_without():
    seen = []

    def work():
        with graceful() as interrupt:
            seen.append(bool(interrupt))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
