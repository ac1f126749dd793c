"""asng classify, from files of CIFAR-10's binary version to the trained network."""

import hashlib
import json
import shutil

import pytest
import torch
import yaml
from command_lines import fails

from asng.cli import main
from asng.cli.runs import find_preset

TINY = [
    *("--cells", "3", "--nodes", "1", "--channels", "2", "--batch-size", "4", "--epochs", "1"),
    *("--retrain-cells", "4", "--retrain-batch-size", "5", "--retrain-epochs", "2"),
    *("--max-parameters", "3000", "--quiet", "--device", "cpu"),
]


def write_cifar(folder, *, shift=0):
    """Write five training files and a test file of four images each, whose lists of sums vouch for them."""
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True)
    contents = {"batches.meta.txt": "\n".join(f"class {n}".replace(" ", "") for n in range(10)).encode()}
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        labels = (torch.arange(4) % 2 + shift).to(torch.uint8)
        pixels = torch.randint(0, 256, (4, 3072), generator=generator).to(torch.uint8)
        contents[name] = torch.cat([labels[:, None], pixels], dim=1).numpy().tobytes()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items())
    for name, data in (contents | {"SHA256SUMS": sums.encode()}).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    return write_cifar(tmp_path_factory.mktemp("data") / "cifar")


@pytest.fixture(scope="module")
def run_dir(cifar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    words = ["--data-dir", str(cifar), "--preset", "paper", "--run-dir", str(folder), *TINY, "--peers", "1"]
    assert main(["classify", *words]) == 0
    return folder


def test_the_papers_road_leads_from_cifar_to_a_network_within_its_bound(run_dir, cifar):
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert (config["task"], config["data"]) == ("classification", "CIFAR-10")
    assert len(config["fingerprint"]) == 64
    assert config["network"]["drop_path"] == 0.3
    assert config["search"]["update"] == "paper"
    result = json.loads((run_dir / "result.json").read_text())
    assert len(result["random"]) == 1
    assert all(network["parameters"] <= 3000 for network in (result["found"], *result["random"]))
    names = torch.load(run_dir / "child.pt", weights_only=True)["state_dict"]
    assert not any("auxiliary" in name or "drop" in name for name in names)
    assert any(name.startswith("cells.3.") for name in names)  # four cells, three in the search


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate"], "accuracy"),
        (["report"], "report.html"),
        (["export", "--format", "pt2"], "child.pt2"),
    ],
)
def test_the_other_subcommands_take_its_folder(words, told, run_dir, capsys):
    assert main([words[0], str(run_dir), *words[1:]]) == 0
    assert told in capsys.readouterr().out


def test_evaluate_gives_the_score_of_the_result(run_dir, capsys):
    assert main(["evaluate", str(run_dir)]) == 0
    found = json.loads((run_dir / "result.json").read_text())["found"]
    out = capsys.readouterr().out
    assert f"accuracy {found['score']:.4f}" in out
    assert f"{found['parameters']:,} parameters" in out


def test_retrain_takes_other_sizes_for_the_network_alone(run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    words = ["--channels", "3", "--cells", "5", "--epochs", "1", "--peers", "0", "--quiet"]
    assert main(["retrain", str(folder), *words]) == 0
    network = yaml.safe_load((folder / "config.yaml").read_text())["network"]
    assert (network["cells"], network["retrain_cells"], network["retrain_channels"]) == (3, 5, 3)
    assert main(["evaluate", str(folder)]) == 0


def test_resume_refuses_other_data_and_leaves_the_run(run_dir, cifar, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    config = (folder / "config.yaml").read_text()
    other = write_cifar(tmp_path / "other", shift=1)
    (folder / "config.yaml").write_text(config.replace(str(cifar), str(other)))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    error = fails(["classify", "--run-dir", str(folder), "--resume", "--quiet"], capsys)
    assert "expected the data that the run was started on, with fingerprint" in error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "config.yaml").write_text(config)
    assert main(["classify", "--run-dir", str(folder), "--resume", "--quiet"]) == 0


@pytest.mark.slow
def test_several_seeds_end_in_one_table(cifar, tmp_path, capsys):
    folder = tmp_path / "run"
    words = ["--data-dir", str(cifar), "--run-dir", str(folder), *TINY, "--peers", "2", "--seeds", "2"]
    assert main(["classify", *words]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["seed"] for row in summary["seeds"]] == [0, 1]
    assert all(row["random_sd"] is not None for row in summary["seeds"])
    out = capsys.readouterr().out
    assert "mean +- sd" in out
    assert "summary.json" in out


@pytest.mark.parametrize(
    ("words", "preset"),
    [
        ([], "small"),
        (["--data-dir", "here"], "paper"),
        (["--data_dir=here"], "paper"),
        (["--data-dir", "here", "--preset", "small"], "small"),
        (["--preset=paper"], "paper"),
        (["--config", "{data_dir: here}"], "paper"),
        (["--config", "{preset: paper}", "--preset", "small"], "small"),
    ],
)
def test_the_preset_is_the_papers_where_there_are_data(words, preset, capsys):
    assert find_preset(words) == preset
    with pytest.raises(SystemExit):
        main(["classify", *words, "--nodes", "7", "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["preset"] == preset
    assert printed["epochs"] == (100 if preset == "paper" else 40)
    assert printed["nodes"] == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "papr"], "preset: expected one of 'small', 'paper', got 'papr'. Did you mean 'paper'?"),
        (["--max-parameters", "100"], "max_parameters: expected room for a network of one channel"),
        (["--drop-path", "1"], "drop_path: expected a number in [0.0, 0.9], got 1"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--crop-padding", "-1"], "crop_padding: expected an integer >= 0, got -1"),
        (["--retrain-cells", "2"], "retrain_cells: expected at least 3, because the search has reduction"),
        (
            ["--cells", "2", "--retrain-cells", "3"],
            "retrain_cells: expected at most 2, because the search has",
        ),
        (["--retrain-cells", "0"], "retrain_cells: expected an integer >= 1, got 0"),
    ],
)
def test_unfit_settings_are_one_line_and_leave_no_folder(words, message, tmp_path, capsys):
    folder = tmp_path / "run"
    error = fails(["classify", "--run-dir", str(folder), *words], capsys)
    assert message in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_a_wrong_flag_gets_the_nearest_right_one(capsys):
    assert "Did you mean '--drop-path'?" in fails(["classify", "--drop-pth", "0.2"], capsys, code=2)
