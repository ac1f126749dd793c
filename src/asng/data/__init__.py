"""Data: readers of file formats, the small embedded set, and splits. Nothing here downloads or unpickles."""

from asng.data.augment import Augmentation, AugmentedDataset, cutout, random_crop, random_flip
from asng.data.fashion import FASHION_MNIST_CLASSES, load_fashion_mnist_subset
from asng.data.image_data import ImageData
from asng.data.normalise import channel_statistics, normalise
from asng.data.photographs import PHOTOGRAPHS, load_photographs
from asng.data.readers.any_images import read_images
from asng.data.readers.cifar import read_cifar
from asng.data.readers.idx import read_idx
from asng.data.readers.image_folder import read_image_folder
from asng.data.readers.mnist_like import read_mnist_like
from asng.data.readers.svhn import read_svhn
from asng.data.readers.ts_file import read_ts
from asng.data.split import split_groups, split_half
from asng.data.time_series import TimeSeries, normalise_series, pad_series

__all__ = [
    "Augmentation",
    "AugmentedDataset",
    "FASHION_MNIST_CLASSES",
    "ImageData",
    "PHOTOGRAPHS",
    "TimeSeries",
    "channel_statistics",
    "cutout",
    "load_fashion_mnist_subset",
    "load_photographs",
    "normalise",
    "normalise_series",
    "pad_series",
    "random_crop",
    "random_flip",
    "read_cifar",
    "read_idx",
    "read_image_folder",
    "read_images",
    "read_mnist_like",
    "read_svhn",
    "read_ts",
    "split_groups",
    "split_half",
]
