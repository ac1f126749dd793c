"""asng search --baseline: a network of the user's own beside the found one, from flags to the report."""

import json
import shutil

import pytest
import yaml
from command_lines import told
from user_package import DATA, NET, QUICK

from asng.cli import main

pytestmark = pytest.mark.usefixtures("at_home")

BASELINE = ["--baseline", "owned.net.Small", "--baseline.units", "5"]
NAMES = "owned.net.Net,owned.data.loaders"


@pytest.fixture(scope="module")
def run_dir(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        # A worker that takes tests from another may come back to this file, and to the same home.
        words = ["search", "--run-dir", "with", "--overwrite", *NET, *DATA, *BASELINE, "--maximize=accuracy"]
        assert main([*words, *QUICK]) == 0
    return home / "with"


def test_a_baseline_is_in_the_result_the_table_and_the_page(run_dir, capsys):
    result = json.loads((run_dir / "result.json").read_text())
    assert result["baseline"]["parameters"] == 2 * 5 + 5 + 5 * 2 + 2
    out = " ".join(told(["report", str(run_dir)], capsys)[0].split())
    assert f"your baseline │ {result['baseline']['score']:.3f}" in out
    assert "Your baseline scored" in out
    page = (run_dir / "report.html").read_text()
    assert "<td>baseline</td>" in page
    assert "in its time. The baseline is a network of yours." in page
    assert "Your baseline scored" in page


def test_help_tells_the_arguments_of_a_baseline(capsys):
    assert "Of its hidden layer" in told(["search", *NET, *DATA, *BASELINE, "--help"], capsys)[0]
    assert "--baseline PATH" in told(["search", *NET, *DATA, "--help"], capsys)[0]
    assert "--baseline PATH" in told(["search", "--help"], capsys)[0]


def test_a_printed_config_has_the_baseline_and_is_taken_back(tmp_path, capsys):
    text, _ = told(["search", *NET, *DATA, *BASELINE, "--print_config"], capsys)
    assert yaml.safe_load(text)["baseline"] == {"import": "owned.net.Small", "units": 5, "act": None}
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert told(["search", "--config", str(path), "--print_config"], capsys)[0] == text


@pytest.mark.parametrize("words", [["--trust", f"{NAMES},owned.net.Small"], [*NET, *DATA, *BASELINE]])
def test_a_run_is_resumed_if_its_baseline_is_named_too(words, run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "baseline": None}))
    told(["search", "--run-dir", str(folder), "--resume", "--quiet", *words], capsys)
    again = json.loads((folder / "result.json").read_text())["baseline"]
    assert again["score"] == result["baseline"]["score"]


@pytest.mark.parametrize("command", ["evaluate", "export", "retrain", "search"])
@pytest.mark.parametrize("place", ["import", "argument"])
def test_a_baseline_of_someone_elses_folder_runs_nothing(place, command, run_dir, tmp_path, capsys):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    written = tmp_path / "written"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    attack = {"import": "owned.shell.run", "command": f"touch {written}"}
    if place == "argument":
        made = {"class_path": "owned.shell.Made", "init_args": {"command": f"touch {written}"}}
        attack = {"import": "owned.net.Small", "act": made}
    config["network"]["baseline"] = attack
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--run-dir", str(folder), "--resume"] if command == "search" else [str(folder)]
    named = f"{NAMES},owned.net.Small"
    error = told([command, *words, "--trust", named], capsys, code=1)[1]
    wanted = "owned.shell.run" if place == "import" else "owned.shell.Made"
    assert f"would have {wanted}" in error
    assert told(["report", str(folder)], capsys)[0]  # imports nothing, whatever is named
    assert not written.exists()
    if command in ("retrain", "search"):  # which make the baseline: the attack is a real one
        main([command, *words, "--trust", f"{named},{wanted},touch {written}", "--quiet"])
        assert written.exists()
