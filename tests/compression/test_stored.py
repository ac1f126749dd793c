"""What a compression leaves of a model that has a config, as those of transformers."""

import json
from types import SimpleNamespace

import pytest
import torch
from small_network import LOSS
from torch import nn

from asng.compression import compress
from asng.compression.report.table import headings
from asng.compression.stored import StoredCompression, configs_of


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.num_attention_heads * 4
        self.query, self.key, self.value = (nn.Linear(config.hidden, width) for _ in range(3))
        self.out = nn.Linear(width, config.hidden)
        self.up, self.down = (
            nn.Linear(config.hidden, config.between),
            nn.Linear(config.between, config.hidden),
        )

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (-1, 4)).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(y)
        return x + self.down(torch.relu(self.up(x)))


class Pretrained(nn.Module):
    """Rows of an image as tokens, with a config that says all sizes, and `save_pretrained`."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.first = nn.Linear(8, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, 4)

    def forward(self, x):
        x = self.first(x.squeeze(1))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))

    def save_pretrained(self, folder):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(vars(self.config)))


SIZES = {"hidden": 16, "between": 24, "layers": 3, "num_attention_heads": 6, "seed": 12}


def made(**changes):
    return Pretrained(SimpleNamespace(**SIZES | changes))


@pytest.mark.parametrize(
    "changes",
    [{"between": 12}, {"num_attention_heads": 3}, {"layers": 2}, {"hidden": 10, "layers": 1, "between": 6}],
)
def test_a_config_says_what_has_become_of_all_layers_of_a_size(changes):
    model, child = made(), made(**changes)
    child.config = model.config  # as of a child that was extracted
    assert SIZES | changes in [vars(config) for config in configs_of(model, child)]
    assert vars(child.config) == SIZES


@pytest.mark.parametrize(("options", "said"), [({"only": "first"}, True), ({"only": "layers.0.up"}, False)])
def test_a_child_is_saved_by_the_models_own_means_if_its_config_can_say_the_sizes(
    options, said, loaders, tmp_path
):
    torch.manual_seed(0)
    made_of = compress(
        made(),
        *loaders,
        loss=LOSS,
        budget=[0.95],
        options={"depth": False, **options},
        epochs=1,
        evaluations=6,
        finalists=1,
        progress=False,
        run_dir=tmp_path,
    )
    folder = tmp_path / made_of.children[0].goal.name / "pretrained"
    assert folder.exists() == said
    assert any("a config cannot express" in note for note in made_of.notes) != said
    if said:
        width = json.loads((folder / "config.json").read_text())["hidden"]
        assert width == made_of.child.first.out_features < 16


def test_every_column_of_the_table_has_a_heading():
    assert all(headings(StoredCompression()))
