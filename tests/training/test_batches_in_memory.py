"""Batches of tensors in memory, taken whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from asng.training.data.stream import by_whole_batches

TENSORS = torch.arange(33.0).reshape(11, 3), torch.arange(11), torch.rand(11, 2, 2) > 0.5


class Doubled(TensorDataset):
    def __getitem__(self, index):
        return tuple(2 * part for part in super().__getitem__(index))


class Listed(Dataset):
    def __len__(self):
        return 11

    def __getitem__(self, index):
        return torch.tensor(index)


def alike(one, other):
    assert type(one) is type(other) is list
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        assert a.stride() == b.stride()
        assert torch.equal(a, b)


@given(
    st.lists(st.integers(-11, 10), min_size=1, max_size=20),
    st.lists(st.integers(0, 5), max_size=9),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 99),
    st.booleans(),
)
def test_batches_and_random_numbers_are_those_of_the_loader(outer, inner, size, drop, seed, own):
    data = Subset(TensorDataset(*TENSORS), outer)
    if inner:
        data = Subset(data, [index % len(outer) for index in inner])
    generator = torch.Generator() if own else None
    loader = DataLoader(data, size, shuffle=True, drop_last=drop, generator=generator)
    quick = by_whole_batches(loader)
    assert quick is not loader
    seen = []
    for each in (loader, quick):
        torch.manual_seed(seed)
        if generator is not None:
            generator.manual_seed(seed)
        seen.append(([*each, *each], torch.rand(1)))
    (slow, after), (fast, after_fast) = seen
    assert len(slow) == len(fast)
    assert torch.equal(after, after_fast)
    for one, other in zip(slow, fast, strict=True):
        alike(one, other)


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(Doubled(*TENSORS), 4),
        DataLoader(Listed(), 4),
        DataLoader(Subset(Listed(), [1, 2]), 4),
        DataLoader(TensorDataset(*TENSORS), 4, collate_fn=list),
        DataLoader(TensorDataset(*TENSORS), 4, num_workers=1),
        DataLoader(TensorDataset(*TENSORS), batch_size=None),
        DataLoader(TensorDataset(TENSORS[0].T.contiguous().T), 4),
        DataLoader(TensorDataset(TENSORS[0].clone().requires_grad_()), 4),
        [TENSORS],
    ],
    ids=[
        "own items",
        "own data",
        "part of it",
        "collated",
        "workers",
        "items",
        "strides",
        "gradient",
        "no loader",
    ],
)
def test_others_are_left_as_they_are(loader):
    assert by_whole_batches(loader) is loader


def test_an_index_out_of_range_is_an_error_as_before():
    loader = by_whole_batches(DataLoader(TensorDataset(*TENSORS), batch_sampler=[[1, 11]]))
    with pytest.raises(IndexError):
        list(loader)


@pytest.mark.parametrize("pins", [True, False])
def test_a_loader_that_pins_its_batches_for_a_gpu_still_does(pins, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    quick = by_whole_batches(DataLoader(TensorDataset(*TENSORS), 4, pin_memory=pins))
    taken = [part for batch in quick for part in batch]
    assert len(pinned) == (len(taken) if pins else 0)
