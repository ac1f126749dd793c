"""Halving the training data, and validation data in random order."""

import pytest
import torch
from problems import loader, searcher
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from asng.errors import InputError
from asng.training.data.halves import in_random_order, split_loader


def _numbers(n, **settings):
    return DataLoader(TensorDataset(torch.arange(n)), **settings)


def _drawn(n, **settings):
    return _numbers(n, sampler=RandomSampler(range(n), **settings), batch_size=2)


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
        (
            _drawn(8, num_samples=4),
            r"each of its 8 items once, .*got a RandomSampler of 4 items\. Give a valid_loader of",
        ),
        (_drawn(8, replacement=True), "each of its 8 items once.*got a RandomSampler with replacement"),
        (_drawn(8, replacement=True, num_samples=64), "got a RandomSampler of 64 items with replacement"),
        (_numbers(8, sampler=RandomSampler(range(4))), "got a RandomSampler of 4 items"),
        (_numbers(8, sampler=SequentialSampler(range(4))), "got a SequentialSampler of 4 items"),
    ],
)
def test_what_cannot_be_halved_is_told(whole, message):
    with pytest.raises(InputError, match=message):
        split_loader(whole)


@pytest.mark.parametrize("place", ["loader", "sampler", "loader that does not shuffle"])
def test_both_parts_draw_from_the_generator_of_the_loader_or_of_its_sampler(place):
    def orders(seed):
        own = torch.Generator().manual_seed(seed)
        whole = {
            "loader": lambda: _numbers(40, shuffle=True, generator=own),
            "sampler": lambda: _drawn(40, generator=own),
            "loader that does not shuffle": lambda: _numbers(40, generator=own),
        }[place]()
        return [[batch[0].tolist() for batch in part] for part in split_loader(whole)]

    torch.manual_seed(0)
    first, before = orders(1), torch.get_rng_state()
    assert orders(1) == first != orders(2)
    assert place == "sampler" or torch.equal(torch.get_rng_state(), before)  # its loader draws a seed too


def test_parts_without_a_generator_are_shuffled_as_by_torch():
    def order(part):
        torch.manual_seed(3)
        return [batch[0].tolist() for batch in part]

    for part in split_loader(_numbers(40, batch_size=4, shuffle=True)):
        assert order(part) == order(DataLoader(part.dataset, 4, shuffle=True, drop_last=True))


# --- validation data in random order -----------------------------------------------------------------------


def batches(loader):
    return [batch[0].tolist() for batch in loader]


@pytest.mark.parametrize(("n", "drop_last"), [(40, False), (41, False), (41, True)])
def test_all_items_come_once_in_another_order_that_is_the_same_in_every_pass(n, drop_last):
    before, given = torch.get_rng_state(), _numbers(n, batch_size=8, drop_last=drop_last)
    mixed = in_random_order(given, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    first = batches(mixed)
    items = [item for batch in first for item in batch]
    assert items != sorted(items)
    assert len(set(items)) == len(items) == (40 if drop_last else n)
    assert set(items) <= set(range(n))
    assert batches(mixed) == batches(in_random_order(given, seed=3)) == first
    assert batches(in_random_order(given, seed=4)) != first
    assert [len(batch) for batch in first] == [len(batch) for batch in batches(given)]
    assert len(mixed) == len(given)


class Own(DataLoader):
    pass


@pytest.mark.parametrize(
    "given",
    [
        _numbers(8, batch_size=2, shuffle=True),
        _numbers(8, batch_size=2, sampler=WeightedRandomSampler([1.0] * 8, 8)),
        _numbers(8, batch_sampler=[[0, 1], [2, 3]]),
        _numbers(8, batch_size=None),
        Own(TensorDataset(torch.arange(8)), batch_size=2),
        [[torch.arange(2)]],
    ],
    ids=["shuffled", "sampler", "batch sampler", "unbatched", "class of its own", "no loader"],
)
def test_a_loader_with_an_order_of_its_own_is_left_alone(given):
    assert in_random_order(given) is given


def test_a_dataset_without_a_length_is_left_to_be_told_of():
    class Endless(Dataset):
        def __getitem__(self, index):
            return torch.tensor(index)

    given = DataLoader(Endless(), batch_size=2)
    assert in_random_order(given) is given
    with pytest.raises(InputError, match="valid_loader: expected a loader with a length"):
        searcher().fit(loader(), given, progress=False)


def test_all_other_arguments_are_kept():
    settings = {
        "collate_fn": list,
        "num_workers": 1,
        "pin_memory": torch.cuda.is_available(),
        "timeout": 7.0,
        "worker_init_fn": print,
        "multiprocessing_context": "fork",
        "generator": torch.Generator(),
        "prefetch_factor": 3,
        "persistent_workers": True,
        "in_order": False,
    }
    settings = {name: value for name, value in settings.items() if hasattr(_numbers(1), name)}
    given = _numbers(8, batch_size=2, drop_last=True, **settings)
    mixed = in_random_order(given)
    assert mixed is not given
    for name in (*settings, "drop_last", "batch_size"):
        assert getattr(mixed, name) is getattr(given, name), name
    assert mixed.dataset.dataset is given.dataset
    assert type(mixed.dataset) is Subset
