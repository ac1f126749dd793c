import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from asng.data import TimeSeries, normalise_series, pad_series, split_half
from asng.errors import InputError


def make(lengths=(5, 2, 3), channels=2, name="tiny", seed=0):
    generator = torch.Generator().manual_seed(seed)
    series = tuple(3 + 2 * torch.randn(n, channels, generator=generator) for n in lengths)
    return TimeSeries(series, torch.arange(len(lengths)) % 2, ("a", "b"), name)


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_batch_holds_each_series_and_zeros_behind_it(lengths):
    data = make(lengths)
    x, found, labels = pad_series([data[i] for i in range(len(data))])
    assert x.shape == (len(lengths), max(lengths), 2)
    assert found.tolist() == lengths
    assert torch.equal(labels, data.labels)
    for row, series in zip(x, data.series, strict=True):
        assert torch.equal(row[: len(series)], series)
        assert not row[len(series) :].any()


def test_a_data_loader_makes_batches_of_it():
    batches = list(DataLoader(make(), batch_size=2, collate_fn=pad_series))
    assert [x.shape for x, *_ in batches] == [(2, 5, 2), (1, 3, 2)]


def test_it_is_split_as_any_data_set():
    data = make((5, 2, 3, 4))
    halves = split_half(data, labels=data.labels)
    assert sorted(len(series) for half in halves for series, _ in half) == [2, 3, 4, 5]
    assert all(sorted(int(label) for _, label in half) == [0, 1] for half in halves)


def test_a_loop_over_the_series_ends():
    assert [len(series) for series, _ in make()] == [5, 2, 3]


def test_training_steps_have_mean_0_and_std_1_in_each_channel():
    (data,) = normalise_series(make())
    steps = torch.cat(data.series)
    assert steps.dtype == torch.float32
    torch.testing.assert_close(steps.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(steps.std(0, correction=0), torch.ones(2))


def test_the_others_are_normalised_by_the_numbers_of_the_training_series():
    train, test = make(), make(seed=1)
    _, normalised = normalise_series(train, test)
    steps = torch.cat(train.series)
    expected = (test.series[0] - steps.mean(0)) / steps.std(0, correction=0)
    torch.testing.assert_close(normalised.series[0], expected)


def test_a_constant_channel_becomes_zeros_not_nan():
    data = dataclasses.replace(make(), series=tuple(torch.full((n, 2), 7.0) for n in (5, 2, 3)))
    assert not torch.cat(normalise_series(data)[0].series).any()


def test_other_channels_are_refused():
    with pytest.raises(InputError, match="other: expected the 2 channels of tiny, got 3"):
        normalise_series(make(), make(channels=3, name="other"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"series": ()}, "tiny: expected at least one series, got none"),
        (
            {"series": (torch.zeros(2, 2, dtype=torch.float64),) * 3},
            r"series\[0\]: expected a float32.*float64",
        ),
        ({"series": (torch.zeros(2, 2), torch.zeros(0, 2), torch.zeros(1, 2))}, r"series\[1\]: .* \(0, 2\)"),
        ({"series": (torch.zeros(2, 2), torch.zeros(2), torch.zeros(1, 2))}, r"series\[1\]: .* shape \(2,\)"),
        (
            {"series": (torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(1, 3))},
            "expected 2 channels.* got 3",
        ),
        ({"series": torch.zeros(3, 4, 2)}, r"series: expected a tuple of tensors, got Tensor. Pass tuple"),
        ({"series": (np.zeros((2, 2), np.float32),) * 3}, r"series\[0\]: .* got ndarray. Make it a tensor"),
        ({"labels": [0, 1, 0]}, "labels: expected an int64 tensor.* got list. Make it a tensor"),
        ({"labels": torch.zeros(2, dtype=torch.int64)}, r"labels: expected an int64 tensor \(3,\)"),
        ({"labels": torch.zeros(3)}, "labels: .* got torch.float32"),
        ({"labels": torch.tensor([0, 1, 2])}, r"numbers in \[0, 1\] for 2 class.* got 0 to 2"),
        ({"labels": torch.tensor([0, -1, 0])}, "got -1 to 0"),
    ],
)
def test_data_of_another_form_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(make(), **change)
