import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from asng.tasks.inpainting.quality import MOST_PSNR, psnr, ssim
from asng.training import score


def _batch(n=5, channels=3, side=16, noise=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(n, channels, side, side, generator=generator)
    scale = noise * (1 + torch.arange(n).float())[:, None, None, None]
    return true + scale * torch.randn(true.shape, generator=generator), true


def _same(x):
    return x


@given(seed=st.integers(0, 1000), channels=st.sampled_from([1, 3]))
def test_psnr_is_the_mean_over_images_of_clipped_ones(seed, channels):
    batch = _batch(channels=channels, seed=seed)
    each = [-10 * math.log10((x.clamp(0, 1) - y).square().mean()) for x, y in zip(*batch, strict=True)]
    assert psnr(_same, batch) == pytest.approx(sum(each) / len(each), rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_scikit_image_but_for_the_border(channels):
    batch = _batch(channels=channels, side=64)
    each = [
        structural_similarity(
            x.clamp(0, 1).numpy(),
            y.numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=0,
            data_range=1.0,
        )
        for x, y in zip(*batch, strict=True)
    ]
    assert ssim(_same, batch) == pytest.approx(sum(each) / len(each), abs=2e-3)


@pytest.mark.parametrize("objective", [psnr, ssim])
def test_score_of_a_loader_is_the_mean_over_images_whatever_the_batches(objective):
    masked, true = _batch(n=5)
    whole = score(torch.nn.Identity(), [(masked, true)], objective)
    parts = score(torch.nn.Identity(), [(masked[:3], true[:3]), (masked[3:], true[3:])], objective)
    assert parts == pytest.approx(whole)


def test_an_image_restored_exactly_has_the_greatest_finite_psnr():
    black = torch.zeros(2, 1, 8, 8)
    assert psnr(_same, (black, black)) == MOST_PSNR
    assert ssim(_same, (black, black)) == 1


@pytest.mark.parametrize("objective", [psnr, ssim])
def test_a_better_image_scores_higher_and_no_graph_is_kept(objective):
    weight = torch.ones((), requires_grad=True)
    far, near = (objective(lambda x: x * weight, _batch(noise=noise)) for noise in (0.2, 0.02))
    assert near > far
    assert isinstance(near, float)
