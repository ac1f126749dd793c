"""The settings of a compression, and its intermediate results, line by line, so that none is repeated."""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import UNSET

from asng.errors import RunError
from asng.runs.files import writes_into
from asng.runs.folder import (
    CHILD,
    COMPRESSION_FILES,
    COMPRESSION_LOG,
    refuse_earlier_run,
    remove_halves,
)
from asng.runs.guarded import read_plain
from asng.runs.log import JsonLines
from asng.runs.stored import Stored, load_json, stored
from asng.search.wiring import function_name, plain_setting
from asng.space import Space
from asng.training.data.nested import checksum

__all__ = ["MAPPINGS", "Journal", "shared_settings", "told_settings"]

MAPPINGS = list[dict[str, Any]]
"""The type of answers that are architectures."""


_TOLD = (
    *("loss", "minimize", "maximize", "train_weights", "teaching", "epochs", "evaluations", "finalists"),
    *("optimizer", "scheduler", "clip", "seed"),
)
"""Settings that a report shows, and that a resumed run must share, beside budgets and options."""


def told_settings(road: Any) -> dict[str, Any]:
    """Return the settings as a report shows them, and the defaults of those that have another value.

    Args:
        road: A `Road`.
    """
    values = {name: plain_setting(getattr(road, name)) for name in _TOLD}
    values = {name: value for name, value in values.items() if value is not UNSET}
    usual = {name: plain_setting(default) for name, default in road.usual.items() if name in values}
    if road.options:
        values["options"] = {name: str(value) for name, value in road.options.items()}
    defaults = {name: default for name, default in usual.items() if default != values[name]}
    return {"budgets": [goal.name for goal in road.goals], **values, "defaults": defaults}


def shared_settings(road: Any, space: Space) -> dict[str, Any]:
    """Return the settings that a resumed run must share with its first part, as far as they can be told.

    Args:
        road: A `Road`, whose data are divided.
        space: The space of the converted model.
    """
    values = {name: getattr(road, name) for name in _TOLD} | {"order": road.options.get("order")}
    loaders = (road.train, road.valid, road.test)
    return {
        "goals": [goal.name for goal in road.goals],
        "space": {name: variable.to_json() for name, variable in space.items()},
        "model": checksum(road.model.state_dict()),
        **{name: function_name(value) if callable(value) else value for name, value in values.items()},
        "batches": [None if loader is None else len(loader) for loader in loaders],
    }


class _Line(Stored, frozen=True):
    question: str
    answer: Any = None


class Journal:
    """A file of answers by their questions; nothing is written without a folder.

    With the same settings, a compression always asks the same questions in the same order. So one that is
    resumed gets the known answers, up to where the last one was stopped.

    Args:
        folder: The run folder, or None.
        settings: What must be the same in a run that is resumed.
        resume: Continue the run in the folder.
        overwrite: Start anew even if the folder holds a run.

    Attributes:
        begun: Whether the run was not refused.

    Raises:
        RunError: The folder already holds a run, or the run to resume has other settings.
    """

    def __init__(
        self, folder: Path | None, settings: Mapping[str, Any], *, resume: bool, overwrite: bool
    ) -> None:
        self.folder, self._known, self._file, self._replaces = folder, {}, None, overwrite
        self.begun = False
        self._before: bytes | None = None
        if folder is None:
            return
        if overwrite and (folder / COMPRESSION_LOG).exists():
            self._before = read_plain(folder / COMPRESSION_LOG)
        if not resume and not overwrite:
            refuse_earlier_run(folder, COMPRESSION_FILES)
        self._file = JsonLines(folder / COMPRESSION_LOG, keep=None if resume else 0)
        try:
            remove_halves(folder, inner=True)
            for row in self._file.rows:
                line = stored(row, _Line, str(folder / COMPRESSION_LOG))
                self._known[line.question] = line.answer
            self._check(settings)
        except BaseException:
            self.close()
            raise

    def _check(self, settings: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(dict(settings), default=str))
        then = self.answer("settings", lambda: now, dict[str, Any])
        differing = [name for name in now if then.get(name) != now[name]]
        if differing:
            name = differing[0]
            raise RunError(
                f"{self.folder}: expected the settings that the run was started with, got {name} = "
                f"{now[name]!r:.200}, which was {then.get(name)!r:.200}. Give the same, or pass "
                "overwrite=True (--overwrite) to start again."
            )

    def answer(self, question: str, work: Callable[[], Any], kind: Any) -> Any:
        """Return the known answer to a question, or work it out and write it down.

        Args:
            question: The same in each run.
            work: Works out the answer, as plain values that JSON can hold.
            kind: The type of the answer, as msgspec knows it.

        Raises:
            RunError: The answer in the file is of another type.
        """
        if question not in self._known:
            self._known[question] = work()
            if self._file is not None:
                self._file.append({"question": question, "answer": self._known[question]})
        return stored(self._known[question], kind, f"{self.folder}, {COMPRESSION_LOG}, {question!r:.80}")

    def number(self, question: str, work: Callable[[], float]) -> float:
        """Return an answer that is a number; NaN if JSON could not hold it."""
        found = self.answer(question, work, float | None)
        return math.nan if found is None else float(found)

    def numbers(self, question: str, work: Callable[[], Sequence[float]]) -> list[float]:
        """Return an answer of several numbers; any that is not finite becomes infinity, the worst."""
        numbers = list[float | None]
        known = self.answer(question, lambda: [x if math.isfinite(x) else None for x in work()], numbers)
        return [math.inf if number is None else number for number in known]

    def knows(self, question: str) -> bool:
        """Whether a question was answered."""
        return question in self._known

    def begin(self) -> None:
        """Note that the run is not refused, and remove what the run that it replaces has left."""
        self.begun = True
        if self.folder is None or not self._replaces:
            return
        with writes_into(self.folder):
            for name in COMPRESSION_FILES:
                if name != COMPRESSION_LOG:
                    (self.folder / name).unlink(missing_ok=True)
            for home in filter(Path.is_dir, self._earlier_children()):
                for name in (CHILD, "child.onnx"):
                    (home / name).unlink(missing_ok=True)
                if (home / "pretrained").is_dir() and not (home / "pretrained").is_symlink():
                    shutil.rmtree(home / "pretrained")
                if not any(home.iterdir()):
                    home.rmdir()

    def _earlier_children(self) -> list[Path]:
        """Return the folders of children that the replaced log names, none of them elsewhere."""
        assert self.folder is not None
        names: Any = []
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # the log may be damaged
            names = [*load_json((self._before or b"").partition(b"\n")[0])["answer"]["goals"]]
        plain = (n for n in names if isinstance(n, str) and n not in ("", "..") and Path(n).name == n)
        return [home for home in map(self.folder.joinpath, plain) if not home.is_symlink()]

    def discard(self) -> None:
        """Close the file and put the folder back as it was, because the run was refused."""
        self.close()
        if self.folder is not None:
            with suppress(OSError):
                path = self.folder / COMPRESSION_LOG
                path.unlink() if self._before is None else path.write_bytes(self._before)
                self.folder.rmdir()  # if it is empty

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
