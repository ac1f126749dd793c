"""Signals become notes."""

import os
import signal
import threading
from contextlib import nullcontext

import pytest

from asng.training.signals import Interrupt, Terminated, graceful, terminable

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_come_back():
    before = {number: signal.getsignal(number) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ALL)
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])  # of a job in the background, and of nohup
def test_an_ignored_signal_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with terminable(), graceful() as interrupt:
        os.kill(os.getpid(), number)
        assert not interrupt
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("noted", [True, False])
def test_a_signal_that_is_not_caught_ends_the_process_with_its_code(number, noted):
    def signalled():
        with terminable(), graceful() if noted else nullcontext() as interrupt:
            os.kill(os.getpid(), number)
            raise interrupt.error()

    with pytest.raises(Terminated) as caught:
        signalled()
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_of_another_process_is_taken_over_unless_there_was_one():
    for own, terminated, expected in ((None, True, 15), (None, False, 2), (1, True, 1), (15, False, 15)):
        interrupt = Interrupt()
        interrupt.signal = own
        interrupt.hear(terminated=terminated)
        assert interrupt.signal == expected


def test_other_threads_go_without():
    seen = []

    def work():
        with graceful() as interrupt:
            seen.append(bool(interrupt))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
