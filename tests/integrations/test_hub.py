"""Folders for the Hub: what is in them, that they load again in three ways, and that cards are escaped."""

import json

import pytest
import torch
from run_folders import write_json, write_small_run
from torch import nn

pytest.importorskip("safetensors")

import asng
from asng.errors import InputError, RunError
from asng.integrations.hub import load_hub_folder, save_hub_folder
from asng.space import Architecture


def supernet(seed=0):
    torch.manual_seed(seed)
    width = asng.Integer(2, 8, label="width")
    norm = asng.nn.BatchNorm1d(width)
    return asng.nn.Supernet(nn.Sequential(asng.nn.Linear(3, width), norm, asng.nn.Linear(8, 1)))


FOUND = Architecture({"width": 5})
X = torch.ones(4, 3)


def child():
    found = supernet().extract(FOUND, example=X)
    return asng.training.give_averages(found).eval()


def test_the_program_runs_without_the_code_of_the_model(tmp_path):
    one = child()
    folder = save_hub_folder(tmp_path / "small", one, FOUND, example=X)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.pt2",
        "model.safetensors",
    ]
    x = torch.randn(7, 3)
    torch.testing.assert_close(torch.export.load(folder / "model.pt2").module()(x), one(x))
    assert json.loads((folder / "config.json").read_text())["architecture"] == {"width": 5}


def test_the_module_comes_back_from_its_supernet(tmp_path):
    one = child()
    folder = save_hub_folder(tmp_path / "small", one, FOUND)
    again = load_hub_folder(folder, supernet(seed=1), example=X)
    assert torch.equal(again(X), one(X))
    other = asng.nn.Supernet(nn.Sequential(asng.nn.Linear(2, asng.Integer(2, 8, label="width"))))
    with pytest.raises(RunError, match="does not fit the network"):
        load_hub_folder(folder, other, example=torch.ones(4, 2))


def test_the_mixin_of_the_hub_loads_weights_and_architecture(tmp_path):
    huggingface_hub = pytest.importorskip("huggingface_hub")

    class Found(nn.Sequential, huggingface_hub.PyTorchModelHubMixin):
        def __init__(self, architecture):
            super().__init__(*asng.training.give_averages(supernet(1).extract(architecture, example=X)))

    one = child()
    folder = save_hub_folder(tmp_path / "small", one, FOUND)
    assert torch.equal(Found.from_pretrained(str(folder)).eval()(X), one(X))


def test_the_card_is_one_that_the_hub_reads(tmp_path):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    folder = save_hub_folder(tmp_path / "small", child(), FOUND, license="mit", name="A net: *small*")
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.tags == ["asng", "neural-architecture-search", "pytorch"]
    assert "# A net: \\*small\\*" in card.text
    assert "| `width` | `5` |" in card.text


def test_the_card_has_the_figures_of_the_report(tmp_path):
    pytest.importorskip("matplotlib")
    run = write_small_run(tmp_path / "run")
    folder = save_hub_folder(tmp_path / "hub", child(), FOUND, run_dir=run)
    card = (folder / "README.md").read_text()
    assert "The found network scored 0.861, its 4 random peers 0.841" in card
    assert "| found (accuracy) | 0.861 |" in card
    for name in ("scores", "loss", "entropy"):
        assert f"](figures/{name}.svg)" in card
        assert (folder / "figures" / f"{name}.svg").read_text().startswith("<svg xmlns=")


@pytest.mark.parametrize(
    "wrong",
    [
        "![x](http://evil.example/a.png)",
        "<script>alert(1)</script>",
        "a | b\n\n# Title\n---\nlicense: mit",
        "[link](http://evil.example)",
        "http://evil.example",
        "`code` **strong**",
        "</td><img src=x>",
    ],
)
def test_what_a_stranger_wrote_stays_words(wrong, tmp_path):
    markdown = pytest.importorskip("markdown_it")
    from asng.integrations.hub import _Card
    from asng.report import read_run

    run = write_small_run(tmp_path / "run")
    result = json.loads((run / "result.json").read_text()) | {"metric": wrong}
    write_json(run / "result.json", result)
    architecture = Architecture({wrong: wrong})
    text = _Card(wrong, architecture, 3, read_run(run), [], program=False).text(wrong)
    head, _, body = text.removeprefix("---\n").partition("\n---\n")
    import yaml

    assert yaml.safe_load(head)["license"] == wrong
    html = markdown.MarkdownIt("commonmark").enable("table").render(body)
    for tag in ("<script", "<img", "<a ", "<strong", "<h1>Title", "<hr"):
        assert tag not in html
    assert html.count("<h1>") == 1
    # The table of the architecture has one row, of two cells.
    rows = html[html.index("<h2>Architecture") : html.index("<h2>Scores")]
    assert (rows.count("<tr>"), rows.count("<td>")) == (2, 2)


def test_a_card_is_not_replaced_unless_told(tmp_path):
    save_hub_folder(tmp_path, child(), FOUND)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match="already contains a model card"):
        save_hub_folder(tmp_path, child(), FOUND)
    assert (tmp_path / "README.md").read_text() == "mine"
    save_hub_folder(tmp_path, child(), FOUND, overwrite=True)
    assert (tmp_path / "README.md").read_text() != "mine"


def test_a_damaged_run_folder_is_told_before_anything_is_written(tmp_path):
    run = write_small_run(tmp_path / "run")
    (run / "result.json").write_text("[")
    with pytest.raises(RunError, match="result"):
        save_hub_folder(tmp_path / "hub", child(), FOUND, run_dir=run)
    assert not (tmp_path / "hub").exists()


def test_no_figures_go_into_a_linked_folder(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "figures").symlink_to(tmp_path)
    with pytest.raises(RunError, match=r"figures: expected a folder, got a link"):
        save_hub_folder(tmp_path / "small", child(), FOUND)
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["figures"]
