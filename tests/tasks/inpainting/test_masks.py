import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asng.errors import InputError
from asng.tasks.inpainting import draw_masks
from asng.tasks.inpainting.masks import MaskedImages

KINDS = ("center", "pixel", "half")
SIDES = {"height": st.integers(2, 40), "width": st.integers(2, 40)}


def _images(n=50, channels=3, side=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


@given(**SIDES)
def test_center_is_one_rectangle_of_half_the_sides_in_the_middle(height, width):
    (mask,) = draw_masks("center", 1, height, width)[:, 0]
    rows, columns = (mask == 0).any(1).nonzero().flatten(), (mask == 0).any(0).nonzero().flatten()
    assert (mask == 0).sum() == len(rows) * len(columns)
    for found, side in ((rows, height), (columns, width)):
        assert abs(len(found) - side / 2) <= 0.5
        assert abs((found[0] + found[-1]) / 2 - (side - 1) / 2) <= 0.5


def test_pixels_are_missing_at_random_four_of_five_of_them():
    masks = draw_masks("pixel", 400, 16, 16, generator=torch.Generator().manual_seed(0))
    missing = 1 - masks
    # 102,400 draws: the standard deviation of the mean is 0.00125, so this is 4 of them.
    assert abs(missing.mean() - 0.8) < 0.005
    # Pixels of an image differ, and images differ in a pixel: 400 or 256 draws, bounds of 5 deviations.
    assert (missing.mean((1, 2, 3)) - 0.8).abs().max() < 0.125
    assert (missing.mean(0) - 0.8).abs().max() < 0.1


@given(**SIDES)
def test_half_is_one_of_four_sides(height, width):
    masks = draw_masks("half", 64, height, width, generator=torch.Generator().manual_seed(0))[:, 0]
    left, up = torch.ones(height, width), torch.ones(height, width)
    left[:, : width // 2], up[: height // 2] = 0, 0
    expected = [left, up, 1 - left, 1 - up]
    met = [[bool(torch.equal(mask, other)) for other in expected] for mask in masks]
    assert all(any(row) for row in met)
    # Each of four is missed by 64 draws with probability 4e-8 in all.
    assert all(any(row[k] for row in met) for k in range(4))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_pixels_are_zero_in_all_channels_and_the_others_as_they_are(kind):
    masked, images = MaskedImages(_images(), kind, seed=0)[list(range(50))]
    gone = masked == 0
    assert torch.equal(gone.all(1), gone.any(1))
    assert 0 < gone.float().mean() < 1
    assert torch.equal(masked[~gone], images[~gone])
    assert torch.equal(images, _images().float() / 255)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_for_scoring_belong_to_the_image(kind):
    data, again = (MaskedImages(_images(), kind, seed=0) for _ in range(2))
    state = torch.get_rng_state()
    first, _ = data[[3, 4, 5]]
    second, _ = again[[5, 3]]
    assert torch.equal(first[[2, 0]], second)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["pixel", "half"])
def test_masks_for_training_are_drawn_anew_from_torchs_generator(kind):
    data = MaskedImages(_images(), kind, seed=None)
    torch.manual_seed(0)
    first, second = data[list(range(50))], data[list(range(50))]
    torch.manual_seed(0)
    again = data[list(range(50))]
    assert not torch.equal(first[0] == 0, second[0] == 0)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_training_images_are_flipped_half_of_the_times_before_they_are_masked():
    torch.manual_seed(0)
    _, images = MaskedImages(_images(200), "center", seed=None)[list(range(200))]
    plain = _images(200).float() / 255
    flipped = [bool(torch.equal(a, b.flip(2))) for a, b in zip(images, plain, strict=True)]
    same = [bool(torch.equal(a, b)) for a, b in zip(images, plain, strict=True)]
    assert sum(flipped) + sum(same) == 200
    assert 65 < sum(flipped) < 135  # 5 standard deviations


def test_an_unknown_mask_is_an_error():
    with pytest.raises(InputError, match=r"mask: expected one of .*'half', got 'centre'. Did you mean"):
        draw_masks("centre", 1, 4, 4)
