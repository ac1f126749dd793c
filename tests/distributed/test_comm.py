"""What every Comm does, in one process and in several."""

import os

import pytest
import torch
from processes import together, values
from torch import nn

from asng.distributed import Comm, LocalComm, TorchComm, joined
from asng.distributed.gradients import BUCKET_BYTES

SIZES = (1, 2, 3)


def of_all(name, *arguments):
    with joined() as comm:
        return getattr(comm, name)(*arguments)


def kinds():
    with joined() as comm:
        return [type(comm).__name__, isinstance(comm, Comm), comm.size, comm.leads]


def test_the_processes_of_torchrun_are_found():
    assert values(kinds, size=1) == [[LocalComm.__name__, True, 1, True]]
    assert values(kinds, size=2) == [
        [TorchComm.__name__, True, 2, True],
        [TorchComm.__name__, True, 2, False],
    ]


def own(counts):
    with joined() as comm:
        return [list(comm.own(range(count))) for count in counts]


@pytest.mark.parametrize("size", SIZES)
def test_pieces_of_a_step_are_dealt_out_without_overlap(size):
    counts = [1, 2, 3, 7]
    for count, shares in zip(counts, zip(*values(own, counts, size=size), strict=True), strict=True):
        assert sorted(piece for share in shares for piece in share) == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def dealt():
    mine, settled = [], []

    def work(number):
        mine.append(number)
        return {number}

    def settle(result):
        settled.append(len(mine))
        return [*result, "x" * 3000, float("nan")]

    with joined() as comm:
        results = comm.deal(5, work, settle)
    return mine, settled, [number for number, _, _ in results]


@pytest.mark.parametrize("size", SIZES)
def test_each_piece_is_done_once_and_settled_after_all_and_known_everywhere(size):
    ended = values(dealt, size=size)
    assert all(settled == [len(mine)] * len(mine) for mine, settled, _ in ended)
    assert sorted(number for mine, _, _ in ended for number in mine) == [0, 1, 2, 3, 4]
    assert all(results == [0, 1, 2, 3, 4] for _, _, results in ended)


def once():
    done = []
    with joined() as comm:
        value = comm.once(lambda: done.append(1) or {"a": [comm.leads]})
    return done, value


@pytest.mark.parametrize("size", SIZES)
def test_once_is_done_in_one_process_and_known_everywhere(size):
    assert values(once, size=size) == [[[1], {"a": [True]}], *[[[], {"a": [True]}]] * (size - 1)]


def flags():
    with joined() as comm:
        return comm.either(False, not comm.leads, digest=lambda: "a" * 32)


def test_a_flag_of_any_process_counts():
    assert values(flags, size=1) == [[False, False]]
    assert values(flags, size=2) == [[False, True]] * 2


def unlike(method):
    with joined() as comm:
        digest = "a" * 31 if comm.leads else "a" * 14 + "b" * 17  # 15 digits are compared at every step
        return comm.either(digest=lambda: digest) if method == "either" else comm.check(lambda: digest, "it")


@pytest.mark.parametrize("method", ["either", "check"])
def test_digests_that_differ_are_an_error_everywhere(method):
    assert values(unlike, method, size=1) == [[] if method == "either" else None]
    for ended in together(unlike, method):
        assert ended.code == 1
        assert "expected the same in all 2 processes, got another in process 1: aaaa" in ended.error


def spread(source):
    state, rank = {}, int(os.environ.get("RANK", "0"))
    if rank == source:
        state = {"weights": torch.full((3,), 1.0), "name": f"of {rank}"}
    with joined() as comm:
        comm.spread(lambda: state, state.update, source=source)
    return state["weights"].tolist(), state["name"]


@pytest.mark.parametrize(("size", "source"), [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1)])
def test_the_state_of_one_process_is_taken_over(size, source):
    assert values(spread, source, size=size) == [[[1.0] * 3, f"of {source}"]] * size


def reduced(kind):
    """Four weights: of all processes, of the first, of the last, of none."""
    with joined() as comm:
        last = not comm.leads or comm.size == 1
        weights = [nn.Parameter(torch.zeros(n)) for n in (2, 3, 4, 5)]
        weights[0].grad = torch.ones(2)
        if comm.leads:
            weights[1].grad = torch.ones(3).to_sparse() if kind == "sparse" else torch.ones(3)
        if last:
            weights[2].grad = torch.full((4,), 2.0)
        total = comm.reduce(0.25, weights)
    return total, [None if w.grad is None else w.grad.tolist() for w in weights]


def test_gradients_are_summed_over_those_who_have_one_and_stay_away_where_none_has():
    assert values(reduced, "dense", size=1) == [[0.25, [[1.0] * 2, [1.0] * 3, [2.0] * 4, None]]]
    assert values(reduced, "dense", size=2) == [[0.5, [[2.0] * 2, [1.0] * 3, [2.0] * 4, None]]] * 2


def test_sparse_gradients_are_told():
    first, _ = together(reduced, "sparse")
    assert "InputError: supernet: expected dense gradients" in first.error


def many():
    sent = []
    all_reduce = torch.distributed.all_reduce
    torch.distributed.all_reduce = lambda t, **named: (
        sent.append([str(t.dtype), t.nbytes]) or all_reduce(t, **named)
    )
    with joined() as comm:
        sizes = [BUCKET_BYTES // 4, 10, 20, BUCKET_BYTES // 8]
        weights = [nn.Parameter(torch.zeros(n)) for n in sizes] + [nn.Parameter(torch.zeros(7).double())]
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        comm.reduce(0.0, weights)
        assert all(bool((weight.grad == comm.size).all()) for weight in weights)
    return sent


def test_messages_are_few_and_large_and_of_one_type():
    small = ["torch.float32", 4 * 30 + BUCKET_BYTES // 2]
    assert values(many)[0] == [["torch.float32", BUCKET_BYTES], small, ["torch.float64", 56]]


def noisy():
    """Draws before, in and after a piece of work, after which all are alike again."""
    torch.manual_seed(0)
    with joined() as comm:
        before = torch.rand(()).item()
        drawn = comm.deal(2, lambda number: torch.rand(()), torch.Tensor.item)
        return before, drawn, torch.rand(()).item()


def test_processes_draw_apart_and_go_on_alike():
    first, second = values(noisy)
    assert first == second
    assert first[1][0] != first[1][1]
    assert first[2] not in (first[0], *first[1])
