"""Labelled time series of one length or of several, and batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from asng.data.image_data import in_words
from asng.errors import InputError

__all__ = ["TimeSeries", "normalise_series", "pad_series"]


# Comparing tensors gives no single truth value, so two TimeSeries compare by identity.
@dataclass(frozen=True, eq=False)
class TimeSeries(Dataset[tuple[Tensor, Tensor]]):
    """Labelled time series, as a torch `Dataset` of (series, label) items.

    Args:
        series: One float32 tensor (time, channels) per item, at least one step long; all have the same
            channels.
        labels: (N,), int64, each in [0, len(classes) - 1].
        classes: Name of each class, at least one.
        name: Name of the data in tables and reports.

    Raises:
        InputError: A shape, a dtype, a count or a label does not fit this description.

    Example:
        >>> series = (torch.zeros(7, 2), torch.zeros(3, 2))
        >>> data = TimeSeries(series, torch.tensor([0, 1]), classes=("a", "e"), name="tiny")
        >>> len(data), data.channels, [len(series) for series, label in data]
        (2, 2, [7, 3])
    """

    series: tuple[Tensor, ...]
    labels: Tensor
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.series, (tuple, list)):
            got = type(self.series).__name__
            raise InputError(f"{self.name}: series: expected a tuple of tensors, got {got}. Pass tuple(...).")
        if not self.series:
            raise InputError(f"{self.name}: expected at least one series, got none.")
        for index, series in enumerate(self.series):
            _check_series(f"{self.name}: series[{index}]", series, self.series[0])
        labels, n = self.labels, len(self.series)
        if not isinstance(labels, Tensor) or labels.shape != (n,) or labels.dtype != torch.int64:
            raise InputError(
                f"{self.name}: labels: expected an int64 tensor ({n},), one per series, got "
                f"{in_words(labels)}."
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.classes):
            raise InputError(
                f"{self.name}: labels: expected numbers in [0, {len(self.classes) - 1}] for "
                f"{len(self.classes)} class(es), got {low} to {high}."
            )

    @property
    def channels(self) -> int:
        """Number of channels: values per time step."""
        return self.series[0].shape[1]

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.series[index], self.labels[index]


def pad_series(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Batch series of different lengths: a `collate_fn` for a DataLoader over `TimeSeries`.

    Args:
        items: Pairs of a series (time, channels) and a number, its label or its target.

    Returns:
        The series (batch, longest time, channels), the shorter ones padded with zeros at the end; their
        lengths, int64 (batch,); and the numbers (batch,).

    Example:
        >>> x, lengths, labels = pad_series([(torch.ones(1, 1), 0), (torch.ones(3, 1), 1)])
        >>> x[:, :, 0], lengths, labels
        (tensor([[1., 0., 0.],
                [1., 1., 1.]]), tensor([1, 3]), tensor([0, 1]))
    """
    series, numbers = zip(*items, strict=True)
    lengths = torch.tensor([len(one) for one in series])
    return pad_sequence(list(series), batch_first=True), lengths, torch.as_tensor(numbers)


def normalise_series(train: TimeSeries, *others: TimeSeries) -> tuple[TimeSeries, ...]:
    """Scale every channel to mean 0 and standard deviation 1 over all steps of the training series.

    The other sets are normalised with the same statistics but do not contribute to them, so nothing leaks
    into training. A channel that is constant in `train` becomes 0 there.

    Args:
        train: Gives the mean and the standard deviation.
        others: Further sets with the same channels.

    Returns:
        All sets, in the order given.

    Raises:
        InputError: The number of channels differs.

    Example:
        >>> data = TimeSeries((torch.tensor([[1.0], [3.0]]),), torch.tensor([0]), ("a",), "tiny")
        >>> normalise_series(data)[0].series[0].flatten()
        tensor([-1.,  1.])
    """
    std, mean = torch.std_mean(torch.cat(train.series).double(), dim=0, correction=0)
    scale = torch.where(std > 0, std, 1.0)
    for other in others:
        if other.channels != train.channels:
            raise InputError(
                f"{other.name}: expected the {train.channels} channels of {train.name}, got {other.channels}."
            )
    return tuple(
        replace(data, series=tuple(((one - mean) / scale).float() for one in data.series))
        for data in (train, *others)
    )


def _check_series(name: str, series: Tensor, first: Tensor) -> None:
    right = isinstance(series, Tensor) and series.ndim == 2 and series.dtype == torch.float32
    if not right or series.numel() == 0:
        raise InputError(
            f"{name}: expected a float32 tensor (time, channels) of at least one step, got "
            f"{in_words(series)}."
        )
    if series.shape[1] != first.shape[1]:
        raise InputError(
            f"{name}: expected {first.shape[1]} channels, as the first has, got {series.shape[1]}."
        )
