import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from asng.data import Augmentation, AugmentedDataset, cutout, random_crop, random_flip
from asng.errors import InputError
from asng.training.data.stream import BatchStream

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def images_of(size, seed=0):
    """Return images without a zero, all pixels of which differ."""
    count = torch.Size(size).numel()
    return 1 + torch.randperm(count, generator=torch.Generator().manual_seed(seed)).reshape(size).float()


@given(SIZES, st.integers(0, 5), st.integers(0, 1000))
def test_a_crop_is_a_shift_of_the_padded_image(size, padding, seed):
    images = images_of(size)
    torch.manual_seed(seed)
    cropped = random_crop(images, padding)
    assert cropped.shape == images.shape
    _, channels, height, width = size
    for before, after in zip(images, cropped, strict=True):
        padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding)
        padded[:, padding : padding + height, padding : padding + width] = before
        places = itertools.product(range(2 * padding + 1), repeat=2)
        assert any(torch.equal(after, padded[:, y : y + height, x : x + width]) for y, x in places)


@given(SIZES, st.integers(0, 1000))
def test_an_image_is_flipped_or_not_and_flipped_twice_is_as_before(size, seed):
    images = images_of(size)
    torch.manual_seed(seed)
    for before, after in zip(images, random_flip(images), strict=True):
        mirrored = torch.stack([before[:, :, x] for x in reversed(range(size[3]))], dim=2)
        assert torch.equal(after, before) or torch.equal(after, mirrored)
    assert torch.equal(random_flip(random_flip(images, 1.0), 1.0), images)
    assert torch.equal(random_flip(images, 0.0), images)


@given(SIZES, st.integers(1, 12), st.integers(0, 1000))
def test_cutout_zeroes_a_square_about_a_pixel_clipped_at_the_border_and_nothing_else(size, side, seed):
    images = images_of(size)
    torch.manual_seed(seed)
    _, _, height, width = size
    # As in the authors' code: a centre in the image, half a side to each side of it, clipped.
    squares = [
        {(y, x) for y in range(top, top + side) for x in range(left, left + side) if y < height and x < width}
        for top, left in itertools.product(
            range(-(side // 2), height - side // 2), range(-(side // 2), width - side // 2)
        )
    ]
    squares = [{(y, x) for y, x in square if y >= 0 and x >= 0} for square in squares]
    for before, after in zip(images, cutout(images, side), strict=True):
        gone = {(y, x) for y in range(height) for x in range(width) if (after[:, y, x] == 0).all()}
        assert gone in squares
        kept = torch.where(after == 0, before, after)
        assert torch.equal(kept, before)
        assert int((after == 0).sum()) == len(gone) * size[1]


def test_cutout_of_a_photograph_zeroes_64_to_256_pixels_and_clips_as_often_as_it_must():
    torch.manual_seed(0)
    count = (cutout(torch.ones(20_000, 1, 32, 32)) == 0).sum((1, 2, 3))
    assert (int(count.min()), int(count.max())) == (64, 256)
    # 17 of the 32 centres of an axis keep the whole side. Six deviations: a false alarm in 5e8 seeds.
    whole = (17 / 32) ** 2
    assert abs((count == 256).double().mean() - whole) < 6 * (whole * (1 - whole) / 20_000) ** 0.5


def chi_square(counts):
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def test_all_81_places_of_a_crop_are_as_likely():
    torch.manual_seed(0)
    numbered = torch.arange(1.0, 82.0).reshape(1, 1, 9, 9)
    # The middle of a crop says where it was cut.
    middle = random_crop(numbered.expand(81_00, 1, 9, 9), 4)[:, 0, 4, 4].long()
    # 80 degrees of freedom: above 155 in one of a million seeds.
    assert chi_square(torch.bincount(middle, minlength=82)[1:].tolist()) < 155


def test_all_pixels_are_as_often_the_centre_of_a_cutout():
    torch.manual_seed(0)
    gone = (cutout(torch.ones(6_400, 1, 8, 8), side=1) == 0)[:, 0].sum(0)
    # 63 degrees of freedom: above 131 in one of a million seeds.
    assert chi_square(gone.flatten().tolist()) < 131


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_flips_come_as_often_as_asked(probability):
    torch.manual_seed(0)
    flipped = random_flip(torch.tensor([1.0, 2.0]).expand(10_000, 1, 1, 2), probability)[:, 0, 0, 0] == 2
    spread = (probability * (1 - probability) / 10_000) ** 0.5
    assert abs(flipped.double().mean() - probability) < 6 * spread


@pytest.mark.parametrize("change", [random_crop, random_flip, cutout, Augmentation()])
def test_each_image_has_a_draw_of_its_own_and_a_seed_is_a_batch(change):
    images = images_of((1, 3, 32, 32)).expand(64, 3, 32, 32)
    kept = images.clone()
    torch.manual_seed(3)
    first = change(images)
    assert len(torch.unique(first, dim=0)) > 1
    torch.manual_seed(3)
    assert torch.equal(change(images), first)
    assert torch.equal(images, kept)
    assert change is random_flip or not torch.equal(change(images), first)


def test_rows_and_columns_are_drawn_apart():
    torch.manual_seed(0)
    numbered = torch.arange(81.0).reshape(1, 1, 9, 9)
    middle = random_crop(numbered.expand(400, 1, 9, 9), 4)[:, 0, 4, 4]
    assert len(torch.unique(middle // 9 - middle % 9)) > 9


def test_what_is_switched_off_draws_nothing():
    images, before = images_of((4, 1, 8, 8)), torch.get_rng_state()
    assert Augmentation(padding=0, flip=0.0, cutout=0)(images) is images
    assert torch.equal(torch.get_rng_state(), before)


def test_bytes_are_augmented_too():
    assert Augmentation()(torch.ones(4, 3, 32, 32, dtype=torch.uint8)).dtype == torch.uint8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": -1}, "padding: expected an integer >= 0"),
        ({"flip": 1.5}, r"flip: expected a number in \[0.0, 1.0\]"),
        ({"cutout": 2.5}, "cutout: expected an integer >= 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**arguments)


@pytest.mark.parametrize("change", [random_crop, random_flip, cutout])
def test_a_single_image_is_refused(change):
    with pytest.raises(
        InputError, match=r"expected a batch \(N, C, H, W\), got torch.float32 of shape \(3, 8, 8\)"
    ):
        change(torch.ones(3, 8, 8))


def loader_of(n=40, size=8):
    data = AugmentedDataset(TensorDataset(images_of((n, 3, 8, 8)), torch.arange(n)), Augmentation(cutout=4))
    return DataLoader(data, batch_size=None, sampler=BatchSampler(RandomSampler(data), size, drop_last=True))


def test_a_pass_has_each_label_once_and_images_that_differ_from_those_of_the_next():
    loader = loader_of()
    torch.manual_seed(0)
    first, second = list(loader), list(loader)
    assert sorted(torch.cat([labels for _, labels in first]).tolist()) == list(range(40))
    assert [images.shape for images, _ in first] == [(8, 3, 8, 8)] * 5
    orders = [torch.cat([labels for _, labels in batches]).argsort() for batches in (first, second)]
    in_order = [
        torch.cat([images for images, _ in batches])[order]
        for batches, order in zip((first, second), orders, strict=True)
    ]
    assert not torch.equal(*in_order)


def test_a_stream_put_down_and_taken_up_gives_the_same_batches():
    torch.manual_seed(0)
    stream = BatchStream(loader_of(), "train")
    for _ in range(7):
        stream.next()
    state, now = stream.state_dict(), torch.get_rng_state()
    wanted = [stream.next() for _ in range(6)]
    torch.manual_seed(99)
    again = BatchStream(loader_of(), "train")
    again.load_state_dict(state)
    torch.set_rng_state(now)
    for images, labels in wanted:
        found_images, found_labels = again.next()
        assert torch.equal(found_labels, labels)
        assert torch.equal(found_images, images)


def test_an_item_is_a_batch_of_one():
    data = loader_of().dataset
    image, label = data[5]
    assert (image.shape, int(label), len(data)) == ((3, 8, 8), 5, 40)


def test_a_data_set_without_images_is_refused():
    with pytest.raises(InputError, match=r"as the first tensor, got shape \(3,\)"):
        AugmentedDataset(TensorDataset(torch.zeros(3)), Augmentation())
