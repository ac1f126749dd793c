"""asng search --compile."""

from functools import partial

import pytest
import torch
from test_cli import WORDS

from asng.cli import main
from asng.nn.compiling import compile_or_refuse
from asng.search import compiled


def test_the_flag_alone_has_operations_compiled_and_the_report_says_what_it_brought(tmp_path, monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(compiled, "compile_or_refuse", partial(compile_or_refuse, backend="eager"))
    words = ["search", "--run-dir", str(tmp_path / "run"), *WORDS, "--retrain-epochs", "0", "--final", "0"]
    assert main([*words, "--compile"]) == 0
    assert "operations compiled in" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("value", ["maybe", "3"])
def test_another_value_is_an_error(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["search", "--compile", value])
    assert "compile" in capsys.readouterr().err
