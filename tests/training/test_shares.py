"""Each process's share of every batch."""

from collections import namedtuple

import pytest
import torch
from problems import loader
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from asng.distributed import LocalComm
from asng.distributed.comm import Part
from asng.training.data.nested import batch_size_of, cut
from asng.training.data.shares import Shares, repeats_items

Pair = namedtuple("Pair", "x y")


class Second(LocalComm):
    """The second of two processes, or the first."""

    size = 2

    def __init__(self, rank=1):
        self.rank = rank

    def part(self, items):
        start, stop = self.rank * items // 2, (self.rank + 1) * items // 2
        return Part(start, stop, (stop - start) / items)


class Drawing(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.rand(()) + index


class Stream(IterableDataset):
    def __len__(self):
        return 5

    def __iter__(self):
        return iter(range(5))


def shares(of, rank):
    torch.manual_seed(0)
    return list(Shares(of, Second(rank), batch_size_of).over())


KINDS = ["plain", "own generator", "batch sampler", "own generator within"]
LOADERS = {
    **{kind: lambda kind=kind: loader(22, batch_size=5, kind=kind) for kind in KINDS},
    "drawing": lambda: DataLoader(Drawing(), batch_size=3, shuffle=True),
    "stream": lambda: DataLoader(Stream(), batch_size=3),
    "list": lambda: [torch.arange(5), torch.arange(5, 8)],
}


@pytest.mark.parametrize("kind", LOADERS)
def test_two_shares_are_the_batches_of_one_process(kind):
    torch.manual_seed(0)
    whole = list(LOADERS[kind]())
    first, second = (shares(LOADERS[kind](), rank) for rank in (0, 1))
    assert len(whole) == len(first) == len(second)
    for batch, (left, weight), (right, other) in zip(whole, first, second, strict=True):
        assert weight + other == pytest.approx(1.0)
        assert weight == batch_size_of(left) / batch_size_of(batch)
        tensors = [x if isinstance(x, (list, tuple)) else [x] for x in (batch, left, right)]
        for one, a, b in zip(*tensors, strict=True):
            assert torch.equal(one, torch.cat([a, b]))


@pytest.mark.parametrize(
    ("kind", "repeats"),
    [*((kind, True) for kind in KINDS), ("drawing", False), ("stream", False), ("list", False)],
)
def test_items_that_are_drawn_anew_are_known(kind, repeats):
    before = torch.get_rng_state()
    assert repeats_items(LOADERS[kind]()) is repeats
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_load_shares():
    data = TensorDataset(torch.arange(10))
    batches = [
        x.tolist() for (x,), _ in Shares(DataLoader(data, 4, num_workers=1), Second(), batch_size_of).over()
    ]
    assert batches == [[2, 3], [6, 7], [9]]


@pytest.mark.parametrize(
    ("batch", "share"),
    [
        (torch.arange(4), torch.tensor([1, 2])),
        (
            (torch.arange(4), torch.arange(8).view(4, 2)),
            (torch.tensor([1, 2]), torch.tensor([[2, 3], [4, 5]])),
        ),
        (Pair(torch.arange(4), "name"), Pair(torch.tensor([1, 2]), "name")),
        ([torch.zeros(1), torch.zeros(2), torch.zeros(3), torch.zeros(1)], [torch.zeros(2), torch.zeros(3)]),
        ({"x": torch.arange(4), "words": list("abcd"), "n": 3, "no": None}, None),
        ([torch.arange(4), torch.arange(4)], [torch.tensor([1, 2])] * 2),
        (torch.tensor(2.0), torch.tensor(2.0)),
    ],
)
def test_a_share_is_cut_out_of_all_parts(batch, share):
    if share is None:
        share = {"x": torch.tensor([1, 2]), "words": ["b", "c"], "n": 3, "no": None}
    got = cut(batch, 1, 3, 4)
    assert type(got) is type(share)
    torch.testing.assert_close(got, share) if not isinstance(share, (dict, Pair)) else check(got, share)


def check(got, share):
    pairs = (
        zip(got.values(), share.values(), strict=True)
        if isinstance(got, dict)
        else zip(got, share, strict=True)
    )
    for mine, theirs in pairs:
        assert torch.equal(mine, theirs) if isinstance(theirs, torch.Tensor) else mine == theirs


@pytest.mark.parametrize(
    "batch", [pack_sequence([torch.zeros(1)] * 4), (torch.zeros(4), torch.zeros(5)), object()]
)
def test_what_cannot_be_cut_is_told_and_trained_on_as_a_whole(batch):
    with pytest.raises(ValueError, match=r"a tensor of shape \(5,\)|a PackedSequence|a object"):
        cut(batch, 1, 3, 4)
    if batch_size_of(batch) > 1:
        with pytest.warns(UserWarning, match="every process trains on whole batches.*DataLoader"):
            (share,) = Shares([batch], Second(), batch_size_of).over()
        assert share == (batch, 0.5) or share[0] is batch
