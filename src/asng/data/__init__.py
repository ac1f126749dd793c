"""Data: readers of file formats, the small embedded set, and splits. Nothing here downloads or unpickles."""

from asng.data.any_images import read_images
from asng.data.augment import Augmentation, cutout, random_crop, random_flip
from asng.data.augmented import AugmentedDataset
from asng.data.cifar import read_cifar
from asng.data.fashion import FASHION_MNIST_CLASSES, load_fashion_mnist_subset
from asng.data.idx import read_idx
from asng.data.image_data import ImageData
from asng.data.image_folder import read_image_folder
from asng.data.mnist_like import read_mnist_like
from asng.data.normalise import channel_statistics, normalise
from asng.data.photographs import PHOTOGRAPHS, load_photographs
from asng.data.split import split_groups, split_half
from asng.data.svhn import read_svhn
from asng.data.time_series import TimeSeries, normalise_series, pad_series
from asng.data.ts_file import read_ts

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
