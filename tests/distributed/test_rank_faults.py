"""A process that differs, ends or is stopped in any exchange ends all by an error that names it."""

import os
import signal
import socket
import time

import pytest
import torch
import torch.distributed as dist
from processes import together, values
from small_search import DIFFERENCES, at_pass, differing
from torch import nn

from asng.distributed import joined, watching
from asng.errors import InputError

SILENCE = 1.5


def raises():
    raise ValueError("this process is wrong")


ACTS = {
    "raises": raises,
    "exits": lambda: os._exit(0),
    "leaves": lambda: (_ for _ in ()).throw(SystemExit(3)),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "slow": lambda: time.sleep(2 * SILENCE),
}
TOLD = {
    "raises": "got an error in process 1: ValueError: this process is wrong.",
    "exits": "but process 1 has ended without a word: it was killed, or its script has left.",
    "leaves": "got an error in process 1: SystemExit: 3.",
    "killed": "but process 1 has ended without a word: it was killed, or its script has left.",
    "stopped": "but process 1 is stopped (SIGSTOP, ctrl-Z), for more than 1.5 s (ASNG_SILENCE_SECONDS).",
}


def sums(comm):
    weight = nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)
    return comm.reduce(0.5, [weight])


EXCHANGES = {
    "either": lambda comm: comm.either(False, True, digest=lambda: "a" * 32),
    "deal": lambda comm: comm.deal(3, str, len),
    "deal much": lambda comm: len(comm.deal(3, lambda n: "x" * 5000, str)),
    "once": lambda comm: comm.once(lambda: 3),
    "check": lambda comm: comm.check(lambda: "a", "it"),
    "compare": lambda comm: comm.compare({"it": 3}),
    "spread": lambda comm: comm.spread(lambda: {"a": torch.ones(2)}, lambda state: None),
    "spread of the last": lambda comm: comm.spread(
        lambda: {"a": torch.ones(2)}, lambda state: None, source=1
    ),
    "reduce": sums,
}


def exchanging(exchange, act, folder=None):
    """Also in a group that the script has made itself, in a folder."""
    os.environ["ASNG_SILENCE_SECONDS"] = str(SILENCE)
    if folder is not None:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=size)
    with joined() as comm:
        first = EXCHANGES[exchange](comm)
        if not comm.leads:
            ACTS[act]()
        EXCHANGES[exchange](comm)
        return repr(first)


FAST = {("either", "stopped"), ("deal", "exits"), ("spread of the last", "raises"), ("reduce", "slow")}


@pytest.mark.parametrize("own_group", [False, True])
@pytest.mark.parametrize(
    ("exchange", "act"),
    [
        pytest.param(exchange, act, marks=[] if (exchange, act) in FAST else pytest.mark.slow)
        for exchange in EXCHANGES
        for act in ACTS
    ],
)
def test_in_every_exchange_what_happens_to_a_process_is_told_or_gone_on_from(
    exchange, act, own_group, tmp_path
):
    given = exchange, act, str(tmp_path) if own_group else None
    if act == "slow":
        assert len(values(exchanging, *given)) == 2
        return
    begun = time.monotonic()
    first, second = together(exchanging, *given)
    assert time.monotonic() - begun < 30
    assert first.code == 1
    assert first.error.startswith("LostProcess: processes: expected 2 that keep running, ")
    assert TOLD[act] in first.error
    if act == "stopped":  # it was sent SIGCONT when the first had ended
        assert second.error == first.error or own_group  # the first holds the store of such a group


def hanging():
    return at_pass(lambda: time.sleep(60), 1, 3, 5.0)


def test_a_limit_of_time_ends_all_where_one_hangs_and_names_it():
    """Also the one that waits for it within gloo."""
    first, second = together(hanging)
    assert first.error.startswith("LostProcess: processes: expected 2 that keep running, ")
    assert "process 1" in first.error
    assert "step: expected each to take at most 5 s, got one that does not end." in first.error
    assert second.code == 1


def holding(port):
    """The first process holds the store, as without torchrun, and is stopped."""
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": str(port)}
    os.environ["ASNG_SILENCE_SECONDS"] = str(SILENCE)
    with joined() as comm:
        comm.deal(3, str, len)
        if comm.leads:
            os.kill(os.getpid(), signal.SIGSTOP)
        comm.deal(3, str, len)


def test_the_process_that_holds_the_store_may_be_the_one_that_is_stopped():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    begun = time.monotonic()
    _, second = together(holding, port)
    assert time.monotonic() - begun < 60
    assert "but process 0 is stopped (SIGSTOP, ctrl-Z), for more than 1.5 s" in second.error


@pytest.mark.parametrize("what", DIFFERENCES)
def test_a_process_that_differs_ends_all_by_an_error_that_names_it_and_what_differs(what):
    for ended in together(differing, what):
        assert ended.code == 1
        assert ended.error.startswith(
            f"RunError: {DIFFERENCES[what]}: expected the same in all 2 processes, got another in process 1: "
        )


def test_other_weights_are_taken_over():
    first, second = values(differing, "")
    assert first == second


@pytest.mark.parametrize("said", ["soon", "0", "nan"])
def test_a_silence_that_is_none_is_told(said, monkeypatch):
    monkeypatch.setenv("ASNG_SILENCE_SECONDS", said)
    with pytest.raises(InputError, match="ASNG_SILENCE_SECONDS: expected"):
        watching.silence()
    monkeypatch.setenv("ASNG_SILENCE_SECONDS", "inf")
    assert watching.silence() == float("inf")
