"""A data set whose images are changed anew whenever they are taken, a batch at once."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from asng.errors import InputError

__all__ = ["AugmentedDataset"]


class AugmentedDataset(Dataset[tuple[Tensor, ...]]):
    """Takes batches of images from tensors and changes them at random.

    For a loader that asks for whole batches, `batch_size=None` and a sampler that yields lists of indices:
    one call a batch is many times faster than one an item. Keep `num_workers=0`: then the draws come from
    torch's default generator, and a resumed run sees the same batches.

    Args:
        dataset: Its first tensor are the images, (N, C, H, W).
        augment: Returns changed images, (N, C, H, W).

    Raises:
        InputError: The first tensor is no batch of images.

    Example:
        >>> import torch
        >>> from torch.utils.data import BatchSampler, DataLoader, RandomSampler
        >>> from asng.data import Augmentation
        >>> plain = TensorDataset(torch.ones(10, 3, 32, 32), torch.arange(10))
        >>> data = AugmentedDataset(plain, Augmentation())
        >>> batches = BatchSampler(RandomSampler(data), batch_size=4, drop_last=True)
        >>> [len(labels) for images, labels in DataLoader(data, batch_size=None, sampler=batches)]
        [4, 4]
    """

    def __init__(self, dataset: TensorDataset, augment: Callable[[Tensor], Tensor]) -> None:
        if dataset.tensors[0].ndim != 4:
            raise InputError(
                "dataset: expected images (N, C, H, W) as the first tensor, got shape "
                f"{tuple(dataset.tensors[0].shape)}."
            )
        self.dataset = dataset
        self.augment = augment

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | Sequence[int]) -> tuple[Tensor, ...]:
        """Return the batch of a list of indices, or the item of a single one."""
        if isinstance(index, int):
            return tuple(part[0] for part in self[[index]])
        images, *others = self.dataset[index]
        return (self.augment(images), *others)
