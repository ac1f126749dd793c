"""A folder that is ready for the Hugging Face Hub: weights, program, settings and model card."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from asng import __version__
from asng.checks import as_path, check_flags
from asng.errors import InputError, RunError
from asng.integrations.safetensors import load_safetensors, save_safetensors
from asng.nn import Supernet
from asng.report import Run, read_run, verdict
from asng.report.comparison import compare
from asng.report.excerpts import MOST_ROWS, cut
from asng.report.html import need_figures
from asng.report.table import run_rows
from asng.runs.files import make_folder, write_text, writes
from asng.runs.folder import refuse_link
from asng.space import Architecture
from asng.training import count_parameters, save_program
from asng.training.child_file import child_from

__all__ = ["load_hub_folder", "save_hub_folder"]

CARD, CONFIG, WEIGHTS, PROGRAM = "README.md", "config.json", "model.safetensors", "model.pt2"
_FIGURES = "figures"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&!#~$@{}])")
"""Characters that have a meaning in Markdown."""


def save_hub_folder(
    folder: str | Path,
    child: nn.Module,
    architecture: Architecture,
    *,
    example: Any = None,
    run_dir: str | Path | None = None,
    name: str | None = None,
    license: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a folder that `huggingface_hub.upload_folder` can send to the Hub as it is; nothing is sent.

    It contains `model.safetensors`, `config.json` with the architecture, and the model card `README.md`. With
    an example, it also contains `model.pt2`, a program that needs neither asng nor the code of the model.
    With a run folder, the card has the figures of its report.

    Args:
        folder: Where to write. It is created if it is missing.
        child: A plain network.
        architecture: Its architecture.
        example: Inputs, as `asng.training.save_program` takes them.
        run_dir: The folder of the search. Its texts are escaped, since it may come from a stranger.
        name: Name of the model, as the title. Default: the name of the folder.
        license: Name of the licence on the Hub, for instance "mit". Default: the card names none.
        overwrite: Replace files of an earlier call.

    Returns:
        The folder.

    Raises:
        InputError: The folder already contains a model card.
        RunError: The extra `hub` is not installed, `run_dir` is not a run folder or is damaged, torch.export
            cannot follow the network, or a file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> child, architecture = nn.Linear(3, 1), Architecture({"op": "linear"})
        >>> with TemporaryDirectory() as folder:
        ...     path = save_hub_folder(Path(folder) / "small", child, architecture)
        ...     sorted(file.name for file in path.iterdir())
        ['README.md', 'config.json', 'model.safetensors']
    """
    check_flags(overwrite=overwrite)
    folder = as_path("folder", folder)
    if not overwrite and (folder / CARD).exists():
        raise InputError(
            f"{folder}: already contains a model card. Pass overwrite=True to replace it, or choose another "
            "folder."
        )
    run = None if run_dir is None else read_run(run_dir)
    refuse_link(folder / _FIGURES)
    with writes(folder):
        make_folder(folder)
    save_safetensors(folder / WEIGHTS, child, architecture)
    if example is not None:
        save_program(folder / PROGRAM, child, example)
    figures = [] if run is None else _save_figures(folder / _FIGURES, run)
    config = {"asng_version": __version__, "architecture": dict(architecture)}
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    title = folder.resolve().name if name is None else name
    card = _Card(title, architecture, count_parameters(child), run, figures, program=example is not None)
    write_text(folder / CARD, card.text(license))
    return folder


def load_hub_folder(folder: str | Path, supernet: Supernet, example: Any = None) -> nn.Module:
    """Return the child from a folder that `save_hub_folder` wrote, in eval mode.

    Args:
        folder: The folder, for instance from `huggingface_hub.snapshot_download`.
        supernet: Supernet of the model that was searched, with any weights.
        example: Inputs, if a layer needs them: see `asng.nn.Supernet.extract`.

    Raises:
        RunError: The weights are missing, damaged, or of another network.
        SpaceError: The architecture is not in the supernet's space.
    """
    path = as_path("folder", folder) / WEIGHTS
    architecture, weights = load_safetensors(path)
    return child_from(supernet, architecture, weights, path, example)


class _Card:
    """The model card in Markdown."""

    def __init__(
        self,
        title: str,
        architecture: Architecture,
        parameters: int,
        run: Run | None,
        figures: list[tuple[str, str]],
        *,
        program: bool,
    ) -> None:
        self.title, self.architecture, self.parameters = title, architecture, parameters
        self.run, self.figures, self.program = run, figures, program

    def text(self, license: str | None) -> str:
        """Return the card: metadata for the Hub, then text for people."""
        head: dict[str, Any] = {"library_name": "asng"}
        head |= {} if license is None else {"license": license}
        head |= {"tags": ["asng", "neural-architecture-search", "pytorch"]}
        parts = [
            "---",
            yaml.safe_dump(head, sort_keys=False).rstrip(),
            "---",
            "",
            f"# {_words(self.title)}",
            "",
        ]
        parts += [
            "A network whose architecture was found by one-shot search with Adaptive Stochastic Natural "
            f"Gradient. It has {self.parameters:,} parameters.",
            "",
            *self._use(),
            *self._found(),
            *self._scores(),
        ]
        return "\n".join(parts)

    def _use(self) -> list[str]:
        lines = ["## Use", ""]
        if self.program:
            lines += [
                "Without asng, and without the code of the model:",
                "",
                "```python",
                "import torch",
                "",
                f'model = torch.export.load("{PROGRAM}").module()',
                "```",
                "",
            ]
        return [
            *lines,
            "As a module, with the code of the model that was searched:",
            "",
            "```python",
            "import asng",
            "from asng.integrations.hub import load_hub_folder",
            "",
            "supernet = asng.nn.Supernet(Net())  # your searchable model",
            'model = load_hub_folder(".", supernet, example=x)',
            "```",
            "",
            f"The weights alone are in `{WEIGHTS}`, and the architecture is in `{CONFIG}`.",
            "",
        ]

    def _found(self) -> list[str]:
        rows = [f"| {_code(name)} | {_code(value)} |" for name, value in self.architecture.items()]
        more = [f"Of {len(rows):,} variables, the first {MOST_ROWS:,} are shown.", ""]
        table = ["| variable | value |", "| --- | --- |", *rows[:MOST_ROWS], ""]
        return ["## Architecture", "", *table, *(more if len(rows) > MOST_ROWS else [])]

    def _scores(self) -> list[str]:
        if self.run is None:
            return []
        log, result = self.run.log, self.run.result
        said = _words(verdict(result, log.end.chance if log.end else None))
        rows = [f"| {_words(name)} | {_words(value)} |" for name, value in run_rows(self.run)]
        figures = [line for path, label in self.figures for line in (f"![{label}]({path})", "")]
        return ["## Scores", "", said, "", "| | |", "| --- | --- |", *rows, "", *figures]


def _save_figures(folder: Path, run: Run) -> list[tuple[str, str]]:
    """Draw the figures of a run if the extra is installed; return path and label of each."""
    try:
        need_figures()
    except RunError:  # the figures need an extra; the card is complete without them
        return []
    from asng.report.figures.curves import entropy_curve, loss_curves
    from asng.report.page import strip_of

    drawn: dict[str, tuple[str, str]] = {}
    if compare(run.result) is not None:
        drawn["scores.svg"] = (strip_of(run.result), "The found network compared with random ones")
    if len(run.log.steps):
        drawn["loss.svg"] = (loss_curves(run.log.steps, None), "Loss during the search")
        drawn["entropy.svg"] = (entropy_curve(run.log.steps), "Entropy of theta during the search")
    with writes(folder):
        make_folder(folder)
    for file, (svg, _) in drawn.items():
        write_text(folder / file, svg)
    return [(f"{_FIGURES}/{file}", label) for file, (_, label) in drawn.items()]


def _words(text: object) -> str:
    """Return a text as one line with all Markdown escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(cut(text, 2000).split())).replace("://", ":\\//")


def _code(text: object) -> str:
    """Return a value as inline code for a table cell."""
    line = " ".join(cut(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""
