import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import IterableDataset, TensorDataset

from asng.data import split_groups, split_half
from asng.errors import InputError

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=60)


@given(LABELS, st.floats(0.05, 0.95), st.integers(0, 1000))
def test_both_parts_together_are_all_items_once(labels, share, seed):
    n_train = round(share * len(labels))
    if not 0 < n_train < len(labels):
        return
    train, valid = split_half(labels, share, seed)
    assert len(train) == n_train
    assert sorted([*train.tolist(), *valid.tolist()]) == list(range(len(labels)))
    for label in set(labels):
        mine = sum(labels[i] == label for i in train.tolist())
        assert abs(mine - share * labels.count(label)) < 1


def test_an_item_left_over_goes_to_the_class_that_lacks_most():
    # 30 % of 4 and 6 items are 1.2 and 1.8.
    train, _ = split_half([0] * 4 + [1] * 6, share=0.3)
    assert (train >= 4).tolist() == [False, True, True]


def test_one_seed_is_one_split_and_another_seed_another():
    first, again, other = (split_half(100, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_split_does_not_touch_the_global_generator():
    before = torch.random.get_rng_state()
    split_half(100)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_split_is_by_chance_not_by_position():
    train, _ = split_half(1000)
    # 500 draws without replacement: the std of the mean index is 9; 6 of them is a false alarm in 5e8 seeds.
    assert abs(train.double().mean() - 499.5) < 55


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_labels_may_be_a_list_an_array_or_a_tensor(kind):
    labels = [5, 5, 7, 7]
    assert torch.equal(split_half(kind(labels))[0], split_half(labels)[0])


def test_a_data_set_becomes_two_subsets_with_the_same_indices():
    labels = torch.arange(20) % 2
    dataset = TensorDataset(torch.arange(20.0), labels)
    train, valid = split_half(dataset, 0.3, 1, labels=labels)
    indices = split_half(labels, 0.3, 1)
    assert [train.indices, valid.indices] == [part.tolist() for part in indices]
    assert train[0][0] == indices[0][0]
    assert len(split_half(dataset)[0]) == 10


@pytest.mark.parametrize(
    ("share", "n", "empty"), [(0.01, 10, "training"), (0.99, 10, "validation"), (0.5, 1, "training")]
)
def test_a_share_that_empties_a_part_is_refused(share, n, empty):
    with pytest.raises(
        InputError, match=rf"got {share} of {n} item\(s\), which leaves the {empty} part empty"
    ):
        split_half(n, share)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 1.5), r"share: expected a number in \[0.0, 1.0\]"),
        ((10, 0.5, -1), "seed: expected an integer >= 0"),
        ((0,), "what: expected an integer >= 1"),
        (([0.5, 1.5],), "labels: expected integers"),
        (([[0], [1]],), r"of shape \(2, 1\)"),
        ((["a", "b"],), "got list"),
        ((Stream(),), "expected a data set with a length and items, got Stream"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        split_half(*arguments)


def test_labels_that_do_not_fit_the_data_set_are_refused():
    with pytest.raises(InputError, match="one per item, 3, got 2"):
        split_half(TensorDataset(torch.zeros(3)), labels=[0, 1])
    with pytest.raises(InputError, match="expected only together with a data set"):
        split_half(10, labels=[0] * 10)


@given(st.lists(st.integers(-3, 5), min_size=2, max_size=60), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_groups_stay_whole_and_come_near_to_the_share(groups, share, seed):
    if len(set(groups)) < 2:
        return
    train, valid = split_groups(groups, share, seed)
    assert sorted([*train.tolist(), *valid.tolist()]) == list(range(len(groups)))
    sides = [{groups[i] for i in part.tolist()} for part in (train, valid)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert abs(len(train) - share * len(groups)) <= max(groups.count(group) for group in groups)


def test_of_equal_groups_half_are_on_either_side_and_which_is_by_chance():
    groups = torch.arange(20).repeat_interleave(3)
    splits = [split_groups(groups, seed=seed)[0] for seed in (3, 3, 4)]
    assert [len(train) for train in splits] == [30] * 3
    assert torch.equal(splits[0], splits[1])
    assert not torch.equal(splits[0], splits[2])


class Rows:
    """A data set that is none of torch's, as those of other libraries."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"x": torch.ones(2), "y": index % 2}


def test_a_data_set_of_another_library_becomes_two_subsets():
    train, valid = split_half(Rows(), labels=[0, 1] * 4)
    assert [len(train), len(valid)] == [4, 4]
    assert sorted(row["y"] for row in train) == [0, 0, 1, 1]
    assert len(split_half(Rows())[0]) == 4


def test_a_number_of_items_may_be_an_integer_of_any_library():
    assert torch.equal(split_half(np.int64(9))[0], split_half(9)[0])
    assert torch.equal(split_half(torch.tensor(9))[0], split_half(9)[0])


@pytest.mark.parametrize(
    "labels",
    [np.array([5, 5, 7, 7], ">i2"), np.array([7, 7, 5, 5])[::-1], np.array([False, False, True, True])],
)
def test_arrays_of_any_integers_are_labels(labels):
    assert torch.equal(split_half(labels)[0], split_half([5, 5, 7, 7])[0])


def test_what_is_no_integer_is_told_what_to_do():
    with pytest.raises(InputError, match=r"labels: .* got ndarray of object. Number the classes: 0, 1"):
        split_half(np.array(["a", "b"], object))
    with pytest.raises(InputError, match=r"groups: .* got list. Number the groups: 0, 1"):
        split_groups(["a", "b"])
    with pytest.raises(InputError, match=r"labels: .* got dict"):
        split_half({0: 1, 1: 1})


class CountedStream(Stream):
    def __len__(self):
        return 2


def test_a_stream_with_a_length_has_no_items_either():
    with pytest.raises(InputError, match="expected a data set with a length and items, got CountedStream"):
        split_half(CountedStream())


def test_a_single_group_cannot_be_split():
    with pytest.raises(InputError, match="expected at least two groups, one for each part, got 1"):
        split_groups([4, 4, 4])
