import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from command_lines import fails
from small_tasks import write_images

from asng.cli import main
from asng.cli.main import SUBCOMMANDS

WORDS = [
    *("--cells", "1", "--nodes", "1", "--channels", "2", "--epochs", "1"),
    *("--retrain-epochs", "1", "--peers", "1", "--quiet", "--device", "cpu"),
]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["search", "--run-dir", str(folder), *WORDS]) == 0
    return folder


def test_a_finished_search_says_what_it_found_and_where_it_lies(run_dir, capsys):
    assert main(["report", str(run_dir)]) == 0
    out = capsys.readouterr().out
    assert "found (accuracy)" in out
    assert "random" in out
    assert "report.html" in out
    assert "<svg" in (run_dir / "report.html").read_text()


def test_evaluate_prints_the_score_of_the_result(run_dir, capsys):
    assert main(["evaluate", str(run_dir)]) == 0
    score = json.loads((run_dir / "result.json").read_text())["found"]["score"]
    assert f"accuracy {score:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_exported_programs_agree(run_dir, tmp_path, capsys):
    for form in ("pt2", "onnx"):
        out = str(tmp_path / f"child.{form}")
        assert main(["export", str(run_dir), "--format", form, "--output", out]) == 0
    images = torch.randn(5, 1, 14, 14)
    program = torch.export.load(tmp_path / "child.pt2").module()
    session = onnxruntime.InferenceSession(tmp_path / "child.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(program(images), torch.from_numpy(logits), atol=1e-4, rtol=1e-3)


def test_retrain_takes_another_width(run_dir, capsys, tmp_path):
    # In a copy: the other tests read the run as it was searched.
    folder = shutil.copytree(run_dir, tmp_path / "run")
    before = json.loads((folder / "result.json").read_text())["found"]["parameters"]
    assert main(["retrain", str(folder), "--channels", "4", "--peers", "0", "--quiet"]) == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["found"]["parameters"] > 1.5 * before
    assert result["random"] == []
    assert main(["evaluate", str(folder)]) == 0
    assert f"{result['found']['parameters']:,} parameters" in capsys.readouterr().out


def test_the_printed_config_is_taken_back(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["search", "--epochs", "7", "--print_config"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "epochs: 7" in text
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(SystemExit):
        main(["search", "--config", str(tmp_path / "config.yaml"), "--print_config"])
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    "words",
    [[], ["search"], ["classify"], ["inpaint"], ["retrain"], ["evaluate"], ["export"], ["report"], ["toy"]],
)
def test_help_is_there(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "usage: asng" in out
    assert "class '" not in out


def test_a_wrong_flag_gets_the_nearest_right_one(capsys):
    assert "Did you mean '--channels'?" in fails(["search", "--chanels", "3"], capsys, code=2)


@pytest.mark.parametrize(
    ("words", "name", "got"),
    [
        (["search", "--epochs", "many"], "epochs", "many"),
        (["toy", "--seeds", "x"], "seeds", "x"),
        (["classify", "--epochs", "1.5"], "epochs", "1.5"),
        (["inpaint", "--batch-size", "two"], "--batch-size: expected an integer", "two"),
        (["search", "--flip", "a_value: b"], "--flip: expected a number, got", "{'a_value': 'b'}"),
        (["search", "--precision", "half"], "--precision: expected one of 'float32', 'bfloat16'", "half"),
        (["search", "--recompute", "7"], "--recompute: expected true or false", "7"),
        (["report", "folder", "--port", "x"], "--port: expected an integer or null", "x"),
        (["benchmark", "--problems", "onemax"], "--problems: expected a list such as [a, b]", "onemax"),
        (["search", "--budget", "x"], "--budget: expected a mapping such as {a: 1} or null", "x"),
        (["search", "--config", "{batch_size: a}"], "--batch-size: expected an integer", "a"),
        (["inpaint", "--kernels", "3"], "kernels", "3"),
        (["inpaint", "--kernels", "[3,a]"], "kernels", "a"),
        (["inpaint", "--mask", "the centre"], "mask", "the centre"),
        (["retrain", "folder", "--epochs", "x"], "epochs", "x"),
        (["search", "--warmup", "half"], "warmup", "half"),
        (["search", "--patience", "ten"], "patience", "ten"),
        (
            ["toy", "--learning-rates", "[x]"],
            "--learning-rates: expected a list such as [a, b], each a number",
            "x",
        ),
        (["toy", "--config", "{seeds: [1, 2]}"], "seeds", "[1, 2]"),
        (["classify", "--config", "[1, 2]"], "config", "[1, 2]"),
        (["classify", "--config", "nowhere.yaml"], "config", "nowhere.yaml'"),
        (["search", "--resume=yes"], "--resume", "'yes'"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_setting(words, name, got, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = fails(words, capsys, code=2).splitlines()
    assert first.startswith(f"asng {words[0]}: ")
    assert name in first
    assert first.endswith(f"{got}.")
    assert not list(tmp_path.iterdir())
    assert second == f"Try: asng {words[0]} --help"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "--epochs"], "--epochs: expected one argument"),
        (["classify", "--config", "{epochz: 3}"], "'epochz'"),
    ],
)
def test_a_missing_value_and_an_unknown_setting_are_named(words, message, capsys):
    first, second = fails(words, capsys, code=2).splitlines()
    assert first.startswith(f"asng {words[0]}: ")
    assert message in first
    assert second == f"Try: asng {words[0]} --help"


def test_a_word_without_a_flag_is_not_taken_for_one(capsys):
    assert fails(["classify", "folder"], capsys, code=2).startswith(
        "asng classify: unrecognized arguments: folder.\n"
    )


def test_a_value_as_long_as_a_file_is_told_back_short(capsys):
    assert len(fails(["search", "--epochs", "x" * 10_000], capsys, code=2)) < 600


def test_an_unknown_subcommand_lists_the_known_ones(capsys):
    error = fails(["serch"], capsys, code=2)
    assert "expected one of search, compress, classify, inpaint, retrain" in error
    assert "got 'serch'. Did you mean 'search'?\n" in error


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["serch"], []])
def test_what_needs_no_torch_loads_none(words):
    code = "import sys; from asng.cli import main\ntry: main(sys.argv[1:])\nfinally: print(set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if words[:1] in (["--help"], ["--version"]) else 2)
    assert "'jsonargparse'" in done.stdout
    assert "'torch'" not in done.stdout
    assert "'numpy'" not in done.stdout


ANSWER = """
source completion
COMP_WORDS=(%s) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_asng
echo "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "expected"), [("asng ret", "retrain"), ("asng search --retrain-ep", "--retrain-epochs")]
)
def test_a_shell_completes_subcommands_and_flags(line, expected, tmp_path):
    words = [sys.executable, "-m", "asng", "--print-completion", "bash"]
    (tmp_path / "completion").write_text(
        subprocess.run(words, capture_output=True, text=True, check=True).stdout
    )
    answer = ["bash", "-c", ANSWER % line]
    done = subprocess.run(answer, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert expected in done.stdout.split(), done.stderr


HELP_OF_ALL = """
import sys
from asng.cli.main import SUBCOMMANDS, main
for name in SUBCOMMANDS:
    try:
        main([name, "--help"])
    except SystemExit as ended:
        assert ended.code == 0, name
print("torch" in sys.modules)
"""


def test_the_help_of_subcommands_loads_no_torch():
    done = subprocess.run([sys.executable, "-c", HELP_OF_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: asng ") == len(SUBCOMMANDS)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "epochs: expected an integer >= 1, got 0"),
        (["--lam-theta", "1"], "lam_theta: expected an integer >= 2, got 1"),
        (["--warmup", "2"], r"warmup: expected a number in [0.0, 1.0], got 2"),
        (["--data-dir", "nowhere"], "nowhere"),
        (["--seeds", "0"], "seeds: expected an integer >= 1, got 0"),
        (["--cells", "0"], "cells: expected an integer >= 1, got 0"),
    ],
)
def test_unfit_settings_are_one_line_and_leave_no_folder(tmp_path, capsys, words, message):
    folder = tmp_path / "run"
    error = fails(["search", "--run-dir", str(folder), *words], capsys, code=1)
    assert message in error
    assert error.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize("command", ["retrain", "evaluate", "export", "report"])
def test_a_folder_without_a_run_is_an_error(command, tmp_path, capsys):
    error = fails([command, str(tmp_path / "nothing")], capsys, code=1)
    assert "nothing" in error
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("command", ["retrain", "evaluate", "export"])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            "task: classification\nseeds: [4, 5]\n",
            "expected the run of one seed, got a folder of 2. Name one",
        ),
        ("task: own\nseed: 4\n", "got 'own'. A run of asng 0.1 is read by that version."),
        (
            "task: toy\nseeds: [4, 5]\n",
            "for one of the tasks 'classification', 'inpainting', 'user', got 'toy'",
        ),
    ],
)
def test_a_folder_without_one_network_says_what_it_is(command, config, message, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(config)
    error = fails([command, str(tmp_path)], capsys, code=1)
    assert message in error
    assert ("seed-4" in error) == ("classification" in config)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "epochs: expected an integer >= 1, got 0"),
        (["--seed", "-1"], "seed: expected an integer >= 0, got -1"),
        (["--peers", "-1"], "peers: expected an integer >= 0, got -1"),
        (["--epochs", "2", "--iterations", "9"], "expected at most one of --epochs and --iterations"),
    ],
)
def test_unfit_settings_of_retraining_leave_the_run_as_it_was(words, message, run_dir, capsys):
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    assert message in fails(["retrain", str(run_dir), *words], capsys, code=1)
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


def test_a_torn_child_is_an_error(run_dir, tmp_path, capsys):
    folder = tmp_path / "torn"
    folder.mkdir()
    (folder / "config.yaml").write_bytes((run_dir / "config.yaml").read_bytes())
    (folder / "child.pt").write_bytes((run_dir / "child.pt").read_bytes()[:500])
    assert "child.pt: expected a child" in fails(["evaluate", str(folder)], capsys, code=1)


CTRL_C = """
import os, runpy, signal, sys, threading, time
from pathlib import Path

def press():
    log = Path(sys.argv[1])
    while not log.exists() or log.stat().st_size < 3000:  # well within the search
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
sys.argv = ["asng", *sys.argv[2:]]
runpy.run_module("asng", run_name="__main__")
"""


def test_ctrl_c_leaves_a_checkpoint_and_resume_goes_on(run_script, tmp_path):
    folder = tmp_path / "run"
    words = ["search", "--run-dir", str(folder)]
    images = write_images(tmp_path / "images")
    longer = ["--epochs", "10000", "--final", "0", "--data-dir", str(images), "--batch-size", "8"]
    said = run_script(CTRL_C, tmp_path, folder / "log.jsonl", *words, *WORDS, *longer, code=130)
    assert "--resume" in said.err
    assert (folder / "checkpoint.pt").exists()
    config = folder / "config.yaml"
    assert "epochs: 10000" in config.read_text()
    # The rest of 10000 epochs is much: end it early, by entropy, from the folder's own settings.
    for old, new in (("stop_entropy: 0.0", "stop_entropy: 1.0"), ("warmup: null", "warmup: 0.0")):
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new))
    assert main([*words, "--resume", "--quiet"]) == 0
    assert json.loads((folder / "result.json").read_text())["reason"] == "entropy"


def test_a_word_that_is_none_of_several_is_answered_by_them(capsys):
    assert "'center', 'pixel', 'half'" in fails(["inpaint", "--mask", "centr"], capsys, code=2)
    assert "'default', 'paper'" in fails(["search", "--update", "papr"], capsys, code=2)


@pytest.mark.parametrize(
    "words",
    [
        *("report", "evaluate", "export", "retrain", "search --run-dir", "search --resume --run-dir"),
        *(
            "toy --resume --run-dir",
            "benchmark --run-dir",
            "benchmark --resume --run-dir",
            "search --data-dir",
        ),
    ],
)
def test_a_folder_whose_name_is_too_long_is_told_in_one_line(words, capsys):
    assert main([*words.split(), "x" * 256]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "File name too long. Choose a shorter name" in told


def test_safetensors_and_a_folder_for_the_hub_are_written(run_dir, tmp_path, capsys):
    pytest.importorskip("safetensors")
    from asng.integrations.safetensors import load_safetensors
    from asng.training import load_child_weights

    assert main(["export", str(run_dir), "--format", "safetensors", "--output", str(tmp_path / "c.st")]) == 0
    architecture, weights = load_safetensors(tmp_path / "c.st")
    found, expected = load_child_weights(run_dir / "child.pt")
    assert architecture == found
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    assert main(["export", str(run_dir), "--format", "hub", "--output", str(tmp_path / "hub")]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {tmp_path / 'hub'}\n")
    program = torch.export.load(tmp_path / "hub" / "model.pt2").module()
    assert program(torch.randn(5, 1, 14, 14)).shape == (5, 10)
    assert "| found (accuracy) |" in (tmp_path / "hub" / "README.md").read_text()


def test_a_missing_extra_is_told_before_the_data_are_read(run_dir, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    said = fails(["export", str(run_dir), "--format", "hub"], capsys)
    assert "Install it: pip install 'asng[hub]'." in said


@pytest.mark.parametrize("command", ["report", "evaluate", "export", "retrain"])
def test_a_missing_folder_is_an_error_of_its_subcommand(command, capsys):
    said = fails([command], capsys, code=2)
    assert said == f"asng {command}: expected a value for run_dir, got none.\nTry: asng {command} --help\n"


def test_what_does_not_fit_into_memory_is_one_line(tmp_path, capsys):
    said = fails(["search", "--channels", "1000000000", "--run-dir", str(tmp_path / "run")], capsys)
    assert said.startswith("asng search: expected a run that fits into memory, got: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_file_or_a_folder_in_the_way_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert "It is a file: choose" in fails(["search", "--run-dir", str(tmp_path / "file")], capsys)


@pytest.mark.parametrize("command", ["report", "evaluate"])
def test_an_output_that_cannot_be_written_is_one_line(command, run_dir):
    words = [sys.executable, "-m", "asng", command, str(run_dir)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith(f"asng {command}: standard output: expected a file, terminal or pipe")
    assert done.stderr.count("\n") == 1
