"""asng search --model --data: a user's own classes, from the command line to the exported child."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
import yaml
from command_lines import told
from user_package import DATA, NET, QUICK

from asng.cli import main
from asng.pipeline import train_alone as training

pytestmark = pytest.mark.usefixtures("at_home")

TRUST = ["--trust", "owned.net.Net,owned.data.loaders"]


@pytest.fixture(scope="module")
def run_dir(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        words = [*NET, *DATA, "--data.batch_size=6", "--maximize", "accuracy", *QUICK]
        assert main(["search", "--run-dir", "run", *words]) == 0
    return home / "run"


def json_of(path):
    return json.loads(path.read_text())


def scores(folder):
    result = json_of(folder / "result.json")
    return [(n["score"], n["architecture"]) for n in (result["found"], *result["random"])]


def test_a_search_of_ones_own_model_leaves_all_files(run_dir):
    names = {path.name for path in run_dir.iterdir()}
    assert {"config.yaml", "architecture.json", "child.pt", "result.json", "report.html"} <= names
    assert "graphs.json" not in names
    network = yaml.safe_load((run_dir / "config.yaml").read_text())["network"]
    assert network["model"] == {"import": "owned.net.Net", "width": 4, "depth": 1, "act": None}
    assert network["data"] == {"import": "owned.data.loaders", "batch_size": 6, "n": 48}
    assert json_of(run_dir / "result.json")["metric"] == "accuracy"


def test_the_report_of_a_run_without_graphs_has_all_else(run_dir, capsys):
    assert "found (accuracy)" in told(["report", "run"], capsys)[0]
    page = (run_dir / "report.html").read_text()
    assert "owned.net.Net" in page
    assert "Found against random" in page
    assert "graph0" not in page


def test_evaluate_prints_the_score_of_the_result(run_dir, capsys):
    score = json_of(run_dir / "result.json")["found"]["score"]
    assert f"accuracy {score:.4f} on owned.data.loaders" in told(["evaluate", "run", *TRUST], capsys)[0]


def test_exported_programs_agree(run_dir, tmp_path, capsys):
    for form in ("pt2", "onnx"):
        told(["export", "run", *TRUST, "--format", form, "--output", str(tmp_path / f"child.{form}")], capsys)
    points = torch.randn(5, 2)
    program = torch.export.load(tmp_path / "child.pt2").module()
    session = onnxruntime.InferenceSession(tmp_path / "child.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: points.numpy()})
    torch.testing.assert_close(program(points), torch.from_numpy(logits), atol=1e-5, rtol=1e-4)


def test_retrain_takes_other_settings_and_keeps_the_architecture(run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    told(["retrain", str(folder), *TRUST, "--epochs", "2", "--peers", "2", "--quiet"], capsys)
    result = json_of(folder / "result.json")
    assert len(result["random"]) == 2
    assert result["found"]["architecture"] == json_of(run_dir / "architecture.json")
    error = told(["retrain", str(folder), "--cells", "3"], capsys, code=1)[1]
    assert "--cells: expected a task whose networks can be trained in another size, got 'user'" in error


def test_resume_takes_everything_from_the_folder(tmp_path, capsys, monkeypatch):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    words = [*NET, *DATA, "--model.depth", "2", *QUICK]
    told(["search", "--run-dir", str(whole), *words], capsys)
    real = training.train

    def stopping(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopping)
    told(["search", "--run-dir", str(folder), *words], capsys, code=130)
    assert not (folder / "child.pt").exists()
    monkeypatch.setattr(training, "train", real)
    told(["search", "--run-dir", str(folder), "--resume", "--quiet", *TRUST], capsys)
    assert scores(folder) == scores(whole)


def test_the_printed_config_has_all_arguments_and_is_taken_back(tmp_path, capsys):
    words = [*NET, "--model.act", "torch.nn.ELU", "--model.act.alpha", "2", *DATA]
    text, _ = told(["search", *words, "--print_config"], capsys)
    config = yaml.safe_load(text)
    assert config["model"]["act"] == {
        "class_path": "torch.nn.ELU",
        "init_args": {"alpha": 2.0, "inplace": False},
    }
    assert config["data"] == {"import": "owned.data.loaders", "batch_size": 8, "n": 48}
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert told(["search", "--config", str(path), "--print_config"], capsys)[0] == text
    # What comes later on the command line wins.
    later, _ = told(["search", "--config", str(path), "--model.width", "9", "--print_config"], capsys)
    assert later == text.replace("width: 4", "width: 9")


def test_a_config_file_alone_is_enough_and_an_inner_class_is_made(tmp_path, capsys):
    words = [*NET, "--model.act", "torch.nn.ELU", *DATA, *QUICK, "--run-dir", str(tmp_path / "run")]
    trust = ["--trust", f"{TRUST[1]},torch.nn.ELU"]
    path = tmp_path / "config.yaml"
    path.write_text(told(["search", *words, "--print_config"], capsys)[0])
    told(["search", "--config", str(path)], capsys)
    program = tmp_path / "child.pt2"
    told(["export", str(tmp_path / "run"), *trust, "--output", str(program)], capsys)
    assert "elu" in str(torch.export.load(program).graph)


def test_batches_of_ones_own_form(tmp_path, capsys):
    words = ["--data", "owned.data.as_dicts", "--batch-loss", "owned.scores.dict_loss"]
    folder = str(tmp_path / "run")
    words += ["--maximize", "owned.scores.hits", *QUICK, "--run-dir", folder]
    assert "found (hits)" in told(["search", *NET, *words], capsys)[0]
    names = ["owned.net.Net", "owned.data.as_dicts", "owned.scores.dict_loss", "owned.scores.hits"]
    _, error = told(["evaluate", folder], capsys, code=1)
    assert f"--trust {','.join(names)}." in error
    assert "hits" in told(["evaluate", folder, "--trust", ", ".join(names)], capsys)[0]
    told(["export", folder, "--trust", ",".join(names)], capsys)
    program = torch.export.load(tmp_path / "run" / "child.pt2").module()
    assert program(torch.zeros(3, 2)).shape == (3, 2)


def test_without_test_data_every_score_says_so(tmp_path, capsys):
    words = [*NET, "--data", "owned.data.one", *QUICK, "--run-dir", str(tmp_path / "run")]
    assert "loss on validation data" in " ".join(told(["search", *words], capsys)[0].split())
    score = json_of(tmp_path / "run" / "result.json")["found"]["score"]
    assert (
        f"loss on validation data {score:.4f}"
        in told(["evaluate", str(tmp_path / "run"), "--trust", "owned.net.Net,owned.data.one"], capsys)[0]
    )


def test_several_seeds(tmp_path, capsys):
    words = [*NET, *DATA, *QUICK, "--seeds", "2", "--run-dir", str(tmp_path / "run")]
    told(["search", *words], capsys)
    summary = json_of(tmp_path / "run" / "summary.json")
    assert [row["seed"] for row in summary["seeds"]] == [0, 1]
    assert summary["higher_is_better"] is False
    told(["search", *NET, *DATA, "--run-dir", str(tmp_path / "run"), "--resume", "--quiet"], capsys)
    assert json_of(tmp_path / "run" / "summary.json") == summary


def test_help_tells_the_arguments_of_the_named(capsys):
    out, _ = told(["search", "--model", "owned.net.Plain", *DATA, "--help"], capsys)
    assert "Units of the only layer" in out
    assert "Points in a batch" in out
    assert "--data.seed" not in out
    assert "--cells" not in out
    assert "--model PATH" in told(["search", "--help"], capsys)[0]


def test_the_installed_script_finds_modules_in_the_current_folder(home):
    script = Path(sys.executable).with_name("asng")
    words = [*NET, *DATA, "--print_config"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [script, "search", *words], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "owned.net.Net" in done.stdout


def test_a_run_whose_modules_are_not_here_says_where_they_are_looked_for(run_dir, home, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("owned.net", "elsewhere.net"))
    trust = ["--trust", "elsewhere.net.Net,owned.data.loaders"]
    _, error = told(["evaluate", str(folder), *trust], capsys, code=1)
    assert f"no module 'elsewhere'. Modules are looked for in the current folder, {home}" in error


def test_modules_of_the_current_folder_are_found_for_that_while_only(home, capsys):
    before = list(sys.path)
    told(["search", *NET, *DATA, "--print_config"], capsys)
    assert sys.path == before


def test_a_failing_search_with_overwrite_keeps_the_earlier_run(run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    words = [*NET, "--data", "owned.wrong.none", "--run-dir", str(folder), "--overwrite"]
    told(["search", *words], capsys, code=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", ["evaluate", "export", "retrain", "search", "classify"])
def test_a_run_folder_of_someone_else_runs_nothing(command, run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    written = tmp_path / "written"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["network"]["data"] = {"import": "owned.shell.run", "command": f"touch {written}"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--run-dir", str(folder), "--resume"] if command in ("search", "classify") else [str(folder)]
    _, error = told([command, *words], capsys, code=1)
    assert "config.yaml: would have owned.net.Net, owned.shell.run imported and called." in error
    assert "--trust owned.net.Net,owned.shell.run." in error
    assert not written.exists()
    assert told(["report", str(folder)], capsys)[0]  # imports nothing, whatever is named
    assert not written.exists()
    told([command, *words, "--trust", "owned.net.Net,owned.shell.run"], capsys, code=1)
    assert written.exists()  # the attack is a real one


@pytest.mark.parametrize("command", ["evaluate", "export", "retrain", "search"])
def test_a_function_of_ours_given_a_shell_command_runs_nothing(command, run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    written = tmp_path / "written"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    attack = {
        "import": "asng.training.accuracy",
        "forward": "owned.shell.run",
        "batch": [f"touch {written}", 1],
    }
    config["network"] |= {"model": {"import": "torch.nn.Identity"}, "data": attack}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--run-dir", str(folder), "--resume"] if command == "search" else [str(folder)]
    _, error = told([command, *words], capsys, code=1)
    assert "would have torch.nn.Identity, asng.training.accuracy imported" in error
    _, error = told([command, *words, "--trust", "torch.nn.Identity,asng.training.accuracy"], capsys, code=1)
    assert "would have owned.shell.run imported and called." in error
    assert not written.exists()
    told(
        [command, *words, "--trust", "torch.nn.Identity,asng.training.accuracy,owned.shell.run"],
        capsys,
        code=1,
    )
    assert written.exists()  # the attack is a real one


@pytest.mark.parametrize(
    "name",
    [
        *("owned.data.torch.hub.load", "torch.load", "torch.nn.functional.importlib.import_module"),
        *("asng.search.loop.time.sleep", "owned.net.Net.register_module", "pickle.load"),
        *("torch.nn.functional.has_torch_function", "torch.nn.Module", "asng.training.save_onnx"),
    ],
)
def test_a_path_through_what_is_trusted_is_not_trusted(name, run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    whole = yaml.safe_load((folder / "config.yaml").read_text())
    for place in ("data", "loss", "act"):
        config = copy.deepcopy(whole)
        network = config["network"]
        if place == "act":
            network["model"]["act"] = {"class_path": name, "init_args": {}}
        else:
            network[place] = {"import": name} if place == "data" else name
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        assert f"--trust {name}." in told(["evaluate", str(folder), *TRUST], capsys, code=1)[1]
