"""asng search --callback: ready-made callbacks by name, a missing extra told first, none by a run folder."""

import sys

import pytest
import yaml
from command_lines import told
from user_package import DATA, NET, QUICK

from asng.cli import callbacks, main
from asng.search import Callback

pytestmark = pytest.mark.usefixtures("at_home")

WORDS = ["search", *NET, *DATA, *QUICK]


class Steps(Callback):
    """Stands for a logger: counts steps, and has a state."""

    made = []

    def __init__(self, folder):
        self.folder, self.steps = folder, 0
        self.made.append(self)

    def step(self, number, loss, objective):
        self.steps = number

    def state_dict(self):
        return {"steps": self.steps}


@pytest.fixture
def logger(monkeypatch):
    monkeypatch.setattr(Steps, "made", [])
    monkeypatch.setattr(callbacks, "READY", {"tensorboard": Steps})
    return Steps


def test_a_search_is_logged_and_resumed_with_the_same_callback(logger, tmp_path, capsys):
    run = ["--run-dir", str(tmp_path / "run")]
    told([*WORDS, *run, "--final", "0", "--callback", "tensorboard"], capsys)
    assert logger.made[-1].folder == tmp_path / "run"
    assert logger.made[-1].steps > 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["callbacks"] == ["Steps"]
    told([*WORDS, *run, "--resume", "--callback", "tensorboard"], capsys)
    assert main([*WORDS, *run, "--resume", "--quiet"]) == 1
    assert "started with, ['Steps'], got []. Give the same by --callback." in capsys.readouterr().err


def test_each_seed_has_callbacks_of_its_own(logger, tmp_path, capsys):
    told([*WORDS, "--run-dir", str(tmp_path), "--seeds", "2", "--callback", "tensorboard"], capsys)
    assert [one.folder.name for one in logger.made[1:]] == ["seed-0", "seed-1"]


def test_a_missing_extra_is_told_before_anything_is_read_or_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    words = ["search", "--data-dir", "nowhere", "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--callback", "tensorboard"]) == 1
    assert "pip install 'asng[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["os.system", "asng.integrations.wandb.WandbCallback", "Tensorboard"])
def test_only_ready_made_callbacks_have_a_name(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*WORDS, "--callback", name])
    assert ended.value.code == 2
    assert "tensorboard" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["wandb", "WandbCallback", "os.system"])
def test_a_run_folder_cannot_have_a_callback_imported(name, logger, tmp_path, capsys):
    told([*WORDS, "--run-dir", str(tmp_path)], capsys)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "callbacks": [name]}))
    before = set(sys.modules)
    assert main([*WORDS, "--run-dir", str(tmp_path), "--resume", "--quiet"]) == 1
    assert f"[{name!r}], got []" in capsys.readouterr().err
    assert "wandb" not in set(sys.modules) - before
    assert logger.made == []
