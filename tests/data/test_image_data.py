import dataclasses

import pytest
import torch

from asng.data import ImageData, channel_statistics, normalise
from asng.errors import InputError


def make(train, test=None, n_classes=2):
    test = train if test is None else test
    labels = [torch.arange(len(images)) % n_classes for images in (train, test)]
    names = tuple(f"class {k}" for k in range(n_classes))
    return ImageData(train, labels[0], test, labels[1], names, "tiny")


def pixels(n=6, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, 4, 5), dtype=torch.uint8, generator=generator)


def test_training_images_have_mean_0_and_std_1_in_each_channel():
    train, _ = normalise(make(pixels()))
    images = train.tensors[0]
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3))


def test_statistics_come_from_the_training_part_alone():
    train = pixels()
    one, _ = normalise(make(train, pixels(seed=1)))
    other, test = normalise(make(train, torch.full_like(train, 255)))
    assert torch.equal(one.tensors[0], other.tensors[0])
    mean, std = channel_statistics(train)
    torch.testing.assert_close(test[0][0][:, 0, 0], (255 - mean) / std)


def test_statistics_may_come_from_one_half_of_the_training_part():
    images = pixels()
    half = torch.tensor([0, 2])
    train, _ = normalise(make(images), fit_on=half)
    mean, std = channel_statistics(images[half])
    torch.testing.assert_close(train.tensors[0], (images - mean[:, None, None]) / std[:, None, None])


def test_a_half_of_other_images_is_refused():
    with pytest.raises(InputError, match="fit_on: expected indices of the 6 training images, got: index 9"):
        normalise(make(pixels()), fit_on=torch.tensor([0, 9]))


def test_a_constant_channel_becomes_zeros_not_nan():
    train, _ = normalise(make(torch.full((2, 1, 3, 3), 9, dtype=torch.uint8)))
    assert train.tensors[0].abs().max() == 0


def test_statistics_of_nothing_are_refused():
    with pytest.raises(InputError, match="at least one pixel"):
        normalise(make(pixels()), fit_on=torch.tensor([], dtype=torch.int64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": pixels().float()}, r"train_images: expected a uint8 tensor.*float32"),
        ({"test_images": pixels()[0]}, r"test_images: .* shape \(3, 4, 5\)"),
        ({"train_labels": torch.zeros(6)}, "train_labels: expected an int64 tensor.*float32"),
        ({"train_labels": [0] * 6}, "train_labels: expected an int64 tensor.* got list. Make it a tensor"),
        ({"train_images": pixels().numpy()}, "train_images: .* got ndarray. Make it a tensor"),
        ({"train_labels": torch.zeros(5, dtype=torch.int64)}, "6 images and 5 labels"),
        ({"train_labels": torch.full((6,), -1)}, r"in \[0, 1\] .* from -1 to -1"),
        ({"classes": ("one",)}, r"in \[0, 0\] for 1 class"),
        ({"test_images": pixels(channels=1)}, "of one size"),
    ],
)
def test_data_of_another_form_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(make(pixels()), **change)


def test_the_fingerprint_tells_every_byte_every_label_and_the_shapes():
    data = make(pixels())
    changed_pixel = data.train_images.clone()
    changed_pixel[5, 2, 3, 4] ^= 1
    changes = [
        {"train_images": changed_pixel},
        {"test_images": changed_pixel},
        {"train_labels": data.train_labels.roll(1)},
        {"test_labels": data.test_labels.roll(1)},
        {part: getattr(data, part).transpose(2, 3) for part in ("train_images", "test_images")},
        {part: getattr(data, part).reshape(6, 3, 5, 4) for part in ("train_images", "test_images")},
    ]
    found = {dataclasses.replace(data, **change).fingerprint for change in changes}
    assert len(found | {data.fingerprint}) == len(changes) + 1


def test_the_fingerprint_tells_neither_names_nor_how_the_bytes_lie_in_memory():
    data = make(pixels())
    apart = data.train_images.repeat_interleave(2, 0)[::2]
    assert not apart.is_contiguous()
    other = dataclasses.replace(data, name="other", classes=("x", "y"), train_images=apart)
    assert other.fingerprint == data.fingerprint
    assert len(data.fingerprint) == 64


def test_the_fingerprint_stays_the_same_over_versions():
    # Were it to change, fingerprints in older runs would say nothing any more.
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    assert make(images).fingerprint == "081eacc0f66dae918f409af2652fc1f2e7f2e99945a67c7ef6061de1dd43d881"
