"""Suggest what the reader of a report can do next, in words and as commands."""

import shlex

from asng.report.comparison import compare
from asng.report.reading import Run
from asng.runs.folder import CHILD

__all__ = ["next_steps"]

_COMMANDS = {"classification": "search", "user": "search", "inpainting": "inpaint"}
"""The subcommand that resumes a run, by the task in config.yaml."""


def next_steps(run: Run) -> list[tuple[str, str]]:
    """Return what can be done next with a run of one search, each with its command, or "" if it has none.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from pathlib import Path
        >>> from asng.report import read_run
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "log.jsonl").write_text("")
        ...     next_steps(read_run(folder))[0][0]
        'The search has not ended. Pass resume=True to fit to continue it'
    """
    folder, task = shlex.quote(str(run.folder)), run.config.get("task")
    command = _COMMANDS.get(str(task))
    if run.log.end is None or run.log.end.reason == "interrupted":
        if command is None:
            return [("The search has not ended. Pass resume=True to fit to continue it", "")]
        return [("The search has not ended. Continue it", f"asng {command} --resume --run-dir {folder}")]
    steps = []
    named = "" if command else " --model package.module.Net --data package.module.loaders"
    comparison = compare(run.result)
    if run.result.found is None:
        words = "Train the found network from scratch, and random ones beside it"
        steps.append((words, f"asng retrain {folder}{named}"))
    elif comparison is None:
        steps.append(("Compare it with random networks", f"asng retrain {folder} --peers 4{named}"))
    else:
        if comparison.gain <= comparison.sd:
            words = "The gain may be chance. Search with other seeds too (--seeds), or for more epochs"
            steps.append((words, ""))
        steps.append(("Train it for longer", f"asng retrain {folder} --epochs 50{named}"))
    if (run.folder / CHILD).is_file():
        steps.append(("Run it elsewhere", f"asng export {folder} --format onnx{named}"))
        steps.append(("Score it on its test data again", f"asng evaluate {folder}{named}"))
    return steps
