"""What a process sees of the others, on its machine and elsewhere."""

import signal
import subprocess
import time

import pytest
import torch.distributed as dist

from asng.distributed.watching import Watch, place

SHORT = 0.2


@pytest.fixture
def watch():
    made = Watch(dist.HashStore(), 0, 2)
    made.silence = SHORT
    yield made
    made.close()


def looks(watch):
    """Look, and once more after a silence."""
    first = watch.look()
    time.sleep(1.5 * SHORT)
    return first, watch.look()


def test_a_process_of_this_machine_is_waited_for_unless_it_is_stopped_or_has_ended(watch):
    with subprocess.Popen(["sleep", "5"]) as other:
        watch.meet([place(), place(other.pid)])
        watch.begin()
        assert looks(watch) == (None, None)
        try:
            other.send_signal(signal.SIGSTOP)
            time.sleep(SHORT)  # for it to be stopped
            stopped = looks(watch)
            watch._looked -= 60.0  # this process was stopped too: it looks anew
            anew = watch.look()
            other.send_signal(signal.SIGCONT)
            time.sleep(SHORT)
            going = looks(watch)
        finally:
            other.kill()
    told = "is stopped (SIGSTOP, ctrl-Z), for more than 0.2 s (ASNG_SILENCE_SECONDS)"
    assert (stopped, anew, going) == ((None, (1, told)), None, (None, None))
    assert looks(watch) == (None, (1, "has ended without a word: it was killed, or its script has left"))
    assert watch.dead()[0] == 1


def test_a_process_elsewhere_is_known_by_its_signs(watch):
    watch.meet([place(), ["elsewhere", 1, "1"]])
    watch.begin()
    for number in range(3):
        watch.store.set("asng/beat/1", f"{number}:4")
        assert watch.look() is None
        time.sleep(1.5 * SHORT)
    assert watch.look()[1].startswith("hangs, is stopped, or is disconnected, for more than 0.2 s")
    assert watch.behind() == []
    watch.exchanges = 5
    assert watch.behind() == [1]


def test_a_process_of_another_container_of_the_same_name_is_not_taken_for_one_that_has_ended(watch):
    watch.meet([place(), [*place()[:1], 2**22 + 1, "1"]])
    watch.begin()
    watch.store.set("asng/beat/1", "1:0")
    assert watch.look() is None
    watch.store.set("asng/beat/1", "2:0")
    time.sleep(1.5 * SHORT)
    assert watch.look() is None


def test_signs_are_given_while_it_lives(watch):
    end = time.monotonic() + 10
    while not watch.store.check(["asng/beat/0"]) and time.monotonic() < end:
        time.sleep(0.01)
    assert watch.store.get("asng/beat/0") == b"1:0"
    watch.close()
    assert not watch._thread.is_alive()
