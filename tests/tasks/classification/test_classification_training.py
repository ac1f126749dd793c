"""How found classifiers are trained: drop path that grows, an auxiliary head, augmented images."""

from random import Random

import pytest
import torch
from torch import nn

from asng.data import ImageData
from asng.nn import Supernet
from asng.pipeline import SearchSettings
from asng.supernets import EnasCellNetwork
from asng.tasks.classification import PRESETS, ClassificationSettings, classification
from asng.tasks.classification.task import classification_recipe, image_loaders


def _data(n=40, side=8):
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randint(1, 256, (k, 3, side, side), generator=generator) for k in (n, 10))
    labels = torch.arange(n) % 2
    return ImageData(train.to(torch.uint8), labels, test.to(torch.uint8), labels[:10], ("a", "b"), "noise")


def _all(loader):
    return torch.cat([images for images, _ in loader])


def test_drop_path_rises_linearly_from_0_to_its_rate():
    recipe = classification_recipe(ClassificationSettings(drop_path=0.3), nn.Identity)
    network, seen = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout())), []
    for done in range(100):
        recipe.before_step(network, done, 100)
        assert network[0].p == network[1][0].p
        seen.append(network[0].p)
    assert seen == pytest.approx([0.003 * done for done in range(100)])


def test_the_auxiliary_loss_is_added_by_its_weight():
    recipe = classification_recipe(ClassificationSettings(auxiliary=0.4), nn.Identity)
    logits, auxiliary, target = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    loss = recipe.loss(lambda _: (logits, auxiliary), (torch.zeros(4), target))
    one, other = (-torch.log_softmax(x, 1)[range(4), target].mean() for x in (logits, auxiliary))
    torch.testing.assert_close(loss, one + 0.4 * other)


def test_without_both_the_kept_network_itself_is_trained():
    recipe = classification_recipe(ClassificationSettings(), nn.Identity)
    assert recipe.build is recipe.loss is recipe.before_step is None


def test_the_trained_network_has_all_weights_of_the_kept_one():
    settings = ClassificationSettings(retrain_cells=4, max_parameters=6_000, drop_path=0.3, auxiliary=0.4)
    task = classification(settings)
    a = Supernet(task.build()).space.sample(Random(0))
    kept, trained = (Supernet(build(a)).extract(a) for build in (task.child, task.recipe.build))
    assert sum(p.numel() for p in kept.parameters()) <= 6_000
    assert kept.state_dict().keys() < trained.state_dict().keys()
    assert (len(task.child(a).cells), len(task.build().cells)) == (4, 3)


def test_bytes_are_normalised_by_the_training_half_alone():
    data = _data()
    loaders = image_loaders(data, ClassificationSettings(batch_size=4), seed=0)
    seen = _all(loaders.search_train)
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert _all(loaders.search_valid).mean().abs() > 1e-4


def test_crops_and_flips_are_in_all_training_and_cutout_in_retraining_only():
    data = _data()
    plain = image_loaders(data, ClassificationSettings(batch_size=20), seed=0)
    settings = ClassificationSettings(batch_size=20, retrain_batch_size=8, crop_padding=0, flip=0.0, cutout=4)
    cut = image_loaders(data, settings, seed=0)
    # No pixel of the noise is the mean: an exact 0 is one that was cut out.
    assert [int((_all(part(cut)) == 0).any()) for part in _PARTS] == [0, 0, 1, 0]
    assert len(cut.train) == 5
    assert len(cut.search_train) == 1
    cropped = image_loaders(data, ClassificationSettings(batch_size=20, crop_padding=2), seed=0)
    assert [int((_all(part(cropped)) == 0).any()) for part in _PARTS] == [1, 0, 1, 0]
    assert torch.equal(_all(cropped.test), _all(plain.test))
    flipped = image_loaders(data, ClassificationSettings(batch_size=20, flip=1.0), seed=0)
    torch.manual_seed(0)
    straight = _all(plain.search_train)
    torch.manual_seed(0)
    assert torch.equal(_all(flipped.search_train), straight.flip(3))


_PARTS = [
    lambda loaders: loaders.search_train,
    lambda loaders: loaders.search_valid,
    lambda loaders: loaders.train,
    lambda loaders: loaders.test,
]


def test_the_preset_of_the_paper_is_the_papers():
    task, search = PRESETS["paper"].task, PRESETS["paper"].search
    # Akimoto et al. (2019), section 5.2, as figures there.
    assert (task.cells, task.channels, task.nodes, task.batch_size, task.valid_share) == (8, 16, 5, 64, 0.5)
    assert (task.retrain_cells, task.max_parameters, task.retrain_batch_size) == (20, 4_000_000, 80)
    assert (task.crop_padding, task.flip, task.cutout) == (4, 0.5, 16)
    assert (task.drop_path, task.auxiliary) == (0.3, 0.4)
    assert (search.epochs, search.retrain_epochs, search.learning_rate) == (100, 600, 0.025)
    assert (search.lam_x, search.lam_theta, search.warmup, search.update) == (2, 2, 0.0, "paper")


def test_the_small_preset_is_what_search_does():
    assert PRESETS["small"].task == ClassificationSettings()
    assert PRESETS["small"].search == SearchSettings()


def test_a_network_of_the_presets_space_is_what_is_searched():
    network = classification(ClassificationSettings(nodes=1)).build()
    assert isinstance(network, EnasCellNetwork)
    assert network.auxiliary is None
