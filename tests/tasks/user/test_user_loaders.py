import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from asng.errors import InputError
from asng.tasks.user.loaders import loaders_from


def loader(start, n=20, **settings):
    return DataLoader(TensorDataset(torch.arange(start, start + n)), **{"batch_size": 4, **settings})


def items(loader):
    return sorted(int(item) for (batch,) in loader for item in batch)


TRAIN, VALID, TEST = loader(0), loader(100), loader(200)
WHOLE = items(TRAIN)


@pytest.mark.parametrize(
    "returned",
    [(TRAIN, VALID, TEST), [TRAIN, VALID, TEST], {"test": TEST, "valid": VALID, "train": TRAIN}],
)
def test_three_loaders_do_what_their_names_say(returned):
    loaders = loaders_from(returned, valid_share=0.5, seed=0)
    assert loaders.search_train is loaders.train is TRAIN
    assert loaders.search_valid is VALID
    assert loaders.test is TEST
    assert loaders.fresh


@pytest.mark.parametrize("returned", [(TRAIN, TEST), (TRAIN, None, TEST), {"train": TRAIN, "test": TEST}])
def test_without_a_valid_loader_the_search_splits_the_training_data(returned):
    loaders = loaders_from(returned, valid_share=0.2, seed=0)
    parts = items(loaders.search_train), items(loaders.search_valid)
    assert [len(part) for part in parts] == [16, 4]
    assert sorted(parts[0] + parts[1]) == WHOLE
    assert loaders.train is TRAIN
    assert loaders.test is TEST
    assert loaders.fresh


@pytest.mark.parametrize("returned", [{"train": TRAIN, "valid": VALID}, (TRAIN, VALID, None)])
def test_without_a_test_loader_the_valid_one_scores(returned):
    loaders = loaders_from(returned, valid_share=0.5, seed=0)
    assert loaders.test is loaders.search_valid is VALID
    assert loaders.train is TRAIN
    assert not loaders.fresh


@pytest.mark.parametrize("returned", [TRAIN, (TRAIN,), {"train": TRAIN}])
def test_of_a_single_loader_the_part_that_scores_trains_nothing(returned):
    loaders = loaders_from(returned, valid_share=0.5, seed=0)
    assert loaders.train is loaders.search_train
    assert set(items(loaders.search_valid)) <= set(items(loaders.test))
    assert set(items(loaders.train)).isdisjoint(items(loaders.test))
    assert len(items(loaders.test)) == 10
    assert not loaders.fresh


def test_the_part_that_scores_is_scored_whole_and_in_the_same_order_each_time():
    loaders = loaders_from(loader(0, 18, shuffle=True), valid_share=0.5, seed=0)
    passes = [torch.cat([batch for (batch,) in loaders.test]) for _ in range(2)]
    assert len(passes[0]) == 9
    assert torch.equal(*passes)


def test_another_seed_gives_another_part():
    parts = [items(loaders_from(TRAIN, valid_share=0.5, seed=seed).test) for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_batches_in_a_list_are_a_loader_where_nothing_is_split():
    batches = list(TRAIN)
    assert loaders_from((batches, VALID, TEST), valid_share=0.5, seed=0).train is batches
    with pytest.raises(InputError, match=r"train_loader: expected a dataset .* Give a valid_loader"):
        loaders_from((batches, TEST), valid_share=0.5, seed=0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"expected a training loader, got None. Return \(train, valid, test\)"),
        ({"test": TEST}, "expected a training loader, got dict"),
        ((), "expected 1 to 3 loaders, got 0"),
        ((TRAIN,) * 4, "expected 1 to 3 loaders, got 4"),
        ({"train": TRAIN, "vaild": VALID}, "got 'vaild'. Did you mean 'valid'?"),
        ((TRAIN, 3), "test: expected a loader, got int '3'"),
        ("train", "train: expected a loader, got str 'train'"),
        ((TRAIN.dataset, TEST), "train: expected a loader, got a dataset, TensorDataset. Wrap it"),
        ((TRAIN, iter([1]), TEST), "valid: expected a loader with a length, got list_iterator"),
        ((TRAIN, [], TEST), "valid: expected at least one batch, got none"),
    ],
)
def test_what_is_no_loader_is_named(returned, message):
    with pytest.raises(InputError, match=message):
        loaders_from(returned, valid_share=0.5, seed=0)
