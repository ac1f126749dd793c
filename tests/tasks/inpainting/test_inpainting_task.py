import base64
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from asng.cli import main
from asng.data import load_photographs
from asng.errors import InputError, RunError
from asng.pipeline import SearchSettings, retrain_run, run_task
from asng.report import read_run, write_report
from asng.tasks.inpainting import PRESETS, InpaintingSettings, inpainting, passes
from asng.tasks.inpainting.quality import psnr, ssim
from asng.tasks.reopen import load_child, stored_run
from asng.training import score

SEARCH = SearchSettings(epochs=1, retrain_epochs=1, peers=2, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Grey and coloured noise as pictures, from which a network can learn nothing but the mean."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for part, n in (("train", 48), ("test", 12)):
        (folder / part).mkdir()
        for i in range(n):
            pixels = torch.randint(0, 256, (10, 10, 3), generator=generator).to(torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / part / f"{i}.png")
    return folder


@pytest.fixture
def settings(folder):
    return InpaintingSettings(
        data_dir=str(folder), image_size=10, columns=3, channels=[2, 4], batch_size=8, encoding="mixed"
    )


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    settings = InpaintingSettings(
        data_dir=str(folder), image_size=10, columns=3, channels=[2, 4], batch_size=8, encoding="mixed"
    )
    return run_task(inpainting(settings), SEARCH, tmp_path_factory.mktemp("run") / "a", progress=False)


def test_the_road_leads_to_both_scores_of_every_network_and_to_a_report(run):
    result = json.loads((run / "result.json").read_text())
    assert result["metric"] == "PSNR"
    for network in (result["found"], *result["random"]):
        assert 0 < network["score"] < 100
        assert -1 <= network["others"]["SSIM"] <= 1
    assert len(result["random"]) == SEARCH.peers
    text = write_report(run).read_text()
    rows = read_run(run).pictures.rows
    assert [row.label for row in rows] == ["masked", "restored", "true"]
    assert all(f"data:image/png;base64,{row.png}" in text for row in rows)
    assert "<th>SSIM</th>" in text
    assert "channels @ side of images" in text


def test_pictures_are_what_the_kept_network_makes_of_the_test_images(run):
    stored = stored_run(run)
    child, test = load_child(stored, run), stored.loaders.test.dataset
    masked, true = test[list(range(12))]
    shown = {row.label: _first(row.png) for row in read_run(run).pictures.rows}
    # Of 12 images 8 are shown, evenly spaced: the first of them is number 0.
    assert torch.equal(shown["masked"], (masked[0] * 255).round().to(torch.uint8))
    assert torch.equal(shown["true"], (true[0] * 255).round().to(torch.uint8))
    with torch.no_grad():
        restored = child(masked)[0].clamp(0, 1) * 255
    assert (shown["restored"].float() - restored).abs().max() <= 0.51


def _first(png):
    """The first image of a strip, not enlarged."""
    import io

    import numpy as np

    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    factor = pixels.shape[1] // 10
    return pixels[:, ::factor, : 10 * factor : factor]


def test_the_saved_child_scores_what_the_result_says(run):
    stored = stored_run(run)
    found = json.loads((run / "result.json").read_text())["found"]
    child = load_child(stored, run)
    assert score(child, stored.loaders.test, psnr) == pytest.approx(found["score"])
    assert score(child, stored.loaders.test, ssim) == pytest.approx(found["others"]["SSIM"])


def test_networks_are_trained_by_adam_whose_rate_falls_at_two_and_four_fifths(settings):
    recipe = inpainting(settings).recipe
    weights = recipe.optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(weights, torch.optim.Adam)
    assert weights.defaults["weight_decay"] == 0
    schedule, rates = recipe.scheduler(weights, 50), []
    for _ in range(50):
        rates.append(weights.param_groups[0]["lr"])
        weights.step()
        schedule.step()
    assert rates == pytest.approx([1e-3] * 20 + [1e-4] * 20 + [1e-5] * 10)


def test_photographs_stay_on_one_side_of_the_split():
    data = load_photographs(32)
    loaders = inpainting(InpaintingSettings(columns=1)).loaders(0)
    halves = [loaders.search_train.dataset.images, loaders.search_valid.dataset.images]
    owners = [
        {int(label) for label in data.train_labels[_places(data.train_images, half)]} for half in halves
    ]
    assert owners[0].isdisjoint(owners[1])
    assert sum(map(len, halves)) == len(data.train_images)
    assert loaders.search_valid.dataset.masks is not None
    assert loaders.search_train.dataset.masks is None


def _places(images, part):
    keys = {image.numpy().tobytes(): i for i, image in enumerate(images)}
    return [keys[image.numpy().tobytes()] for image in part]


def test_scores_of_several_seeds_are_made_with_the_same_masks(settings):
    task = inpainting(replace(settings, mask="pixel"))
    first, second = (next(iter(task.loaders(seed).test))[0] for seed in (0, 1))
    assert torch.equal(first, second)


def test_retraining_replaces_scores_and_pictures(run, settings, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    before = (folder / "pictures.json").read_text()
    retrain_run(
        inpainting(settings), replace(SEARCH, retrain_epochs=3, peers=0), folder, seed=0, progress=False
    )
    assert (folder / "pictures.json").read_text() != before
    assert json.loads((folder / "result.json").read_text())["random"] == []


def test_small_images_and_wrong_settings_are_errors(folder, tmp_path):
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("L", (5, 5)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"image_size: expected an integer >= 6, got 5"):
        InpaintingSettings(image_size=5)
    with pytest.raises(InputError, match=r"mask: expected one of .*Did you mean 'center'"):
        InpaintingSettings(mask="centre")
    with pytest.raises(InputError, match=r"none: expected a folder of images, got no such folder"):
        inpainting(InpaintingSettings(data_dir=str(tmp_path / "none")))


def test_a_damaged_picture_is_an_error(run, tmp_path):
    (tmp_path / "config.yaml").write_text("task: inpainting\n")
    (tmp_path / "pictures.json").write_text(json.dumps({"rows": [{"label": "a", "png": "<script>"}]}))
    with pytest.raises(
        RunError, match=r"pictures\.json: png: expected a PNG file in base64.* - at `\$\.rows\[0\]`"
    ):
        read_run(tmp_path)


def test_the_papers_preset_is_the_papers():
    paper = PRESETS["paper"]
    assert (paper.task.columns, paper.task.level_back, paper.task.image_size) == (20, 5, 64)
    assert (paper.task.kernels, paper.task.channels) == ([1, 3, 5], [64, 128, 256])
    assert (paper.search.lam_x, paper.search.lam_theta, paper.search.warmup) == (2, 2, 0)
    assert paper.search.update == "paper"
    assert (paper.iterations, paper.retrain_iterations) == (50_000, 500_000)


def test_passes_come_nearest_to_the_iterations():
    assert [passes(i, 10) for i in (0, 1, 14, 16, 100)] == [0, 1, 1, 2, 10]


def test_command_goes_from_pictures_to_a_report_and_on(folder, tmp_path, capsys):
    home = tmp_path / "run"
    small = ["--preset", "small", "--columns", "3", "--channels", "[2,4]", "--image-size", "10"]
    lengths = ["--iterations", "6", "--retrain-iterations", "6", "--peers", "1", "--device", "cpu"]
    words = ["inpaint", "--data-dir", str(folder), "--mask", "pixel", *small, *lengths]
    assert main([*words, "--run-dir", str(home), "--quiet", "--batch-size", "8"]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert stored_run(home).settings.epochs == 2
    assert main(["evaluate", str(home)]) == 0
    out = capsys.readouterr().out
    assert "PSNR" in out
    assert "SSIM" in out
    assert main(["inpaint", "--run-dir", str(home), "--resume", "--quiet"]) == 0
    assert main(["retrain", str(home), "--epochs", "1", "--quiet"]) == 0
    assert main(["retrain", str(home), "--iterations", "18", "--seed", "5", "--peers", "2", "--quiet"]) == 0
    settings = stored_run(home).settings
    assert (settings.retrain_epochs, settings.retrain_seed, settings.peers) == (3, 5, 2)
    capsys.readouterr()
    assert main(["evaluate", str(home)]) == 0
    found = json.loads((home / "result.json").read_text())["found"]
    assert f"PSNR {found['score']:.4f}" in capsys.readouterr().out
    assert main(["export", str(home)]) == 0
    assert (home / "child.pt2").exists()
    assert main(["report", str(home)]) == 0
    assert main([*words, "--run-dir", str(home), "--quiet"]) == 1
    assert "already contains a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "columns"), [([], 8), (["--data-dir", "x"], 20), (["--data-dir", "x", "--preset", "small"], 8)]
)
def test_preset_follows_the_data(words, columns, capsys):
    with pytest.raises(SystemExit):
        main(["inpaint", *words, "--print_config"])
    assert f"columns: {columns}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--iterations", "0"], 1, "iterations: expected an integer >= 1, got 0"),
        (["--channels", "[8,8]"], 1, "channels: expected a sequence of different numbers"),
        (["--mask", "centre"], 2, "mask"),
        (["--epochs", "3"], 2, "unrecognized arguments: --epochs 3"),
        (["--data-dir", "nowhere", "--preset", "small"], 1, "nowhere: expected a folder of images"),
    ],
)
def test_wrong_words_leave_nothing(words, code, message, tmp_path, capsys):
    home = tmp_path / "run"
    try:
        got = main(["inpaint", "--run-dir", str(home), "--quiet", *words])
    except SystemExit as leave:
        got = leave.code
    assert got == code
    assert message in capsys.readouterr().err
    assert not home.exists()
