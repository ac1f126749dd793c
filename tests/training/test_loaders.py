"""Halving the training data."""

import pytest
import torch
from problems import loader
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from asng.errors import InputError
from asng.training.data.halves import split_loader


def _numbers(n, **settings):
    return DataLoader(TensorDataset(torch.arange(n)), **settings)


def _items(part):
    return sorted(int(part.dataset[i][0]) for i in range(len(part.dataset)))


@pytest.mark.parametrize(("n", "share", "first"), [(40, 0.5, 20), (41, 0.5, 20), (50, 0.2, 10), (2, 0.5, 1)])
def test_parts_share_nothing_and_leave_nothing_out(n, share, first):
    left, right = split_loader(_numbers(n, batch_size=4), share=share)
    assert sorted(_items(left) + _items(right)) == list(range(n))
    assert (len(_items(left)), left.batch_size) == (first, min(4, first))
    assert len(left) > 0
    assert len(right) > 0


def test_the_seed_says_which_part_and_the_default_generator_is_not_asked():
    before, whole = torch.get_rng_state(), _numbers(40, batch_size=4)
    parts = [_items(split_loader(whole, seed=seed)[0]) for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_both_parts_are_shuffled_and_keep_collation():
    whole = _numbers(40, batch_size=40, collate_fn=lambda items: [int(x) for (x,) in items])
    for part in split_loader(whole):
        (batch,) = part
        assert batch != sorted(batch)
        assert sorted(batch) == _items(part)


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (loader(kind="batch sampler"), "a dataset with a length and a batch size.*got TensorDataset"),
        ([1, 2], r"got list\. Give a valid_loader of your own"),
        (_numbers(1), "expected items for both parts, got 1 in all"),
        (
            _numbers(4, sampler=WeightedRandomSampler([1.0] * 4, 4)),
            "plain shuffling.*got WeightedRandomSampler",
        ),
    ],
)
def test_what_cannot_be_halved_is_told(whole, message):
    with pytest.raises(InputError, match=message):
        split_loader(whole)
