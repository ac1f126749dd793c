"""Progress: a bar that fits the terminal, and lines where there is none."""

import io
import re

import pytest
from rich.console import Console

from asng.training.progress import EVERY, progress_bar

TITLE, FIGURES = "finalist, multiply_adds-0.25", {"loss": 0.431, "entropy": 0.812, "best": 0.913}


def shown(width):
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False
    )
    with progress_bar(TITLE, 12000, show=True, console=console) as bar:
        bar.update(431, **FIGURES)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_bar_fits_its_terminal_and_keeps_the_steps_and_the_time_left(width):
    lines = [line for line in shown(width).replace("\r", "\n").split("\n") if "12000" in line]
    assert lines
    for line in lines:
        assert len(line.rstrip()) <= width
        assert line.startswith("fina")
        assert "431/12000" in line or " 0/12000" in line
        assert "--:--" in line


def lines_of(updates, total=1200):
    """Return what is written of (seconds, done) without a terminal."""
    console, now = Console(file=io.StringIO(), width=80), 0.0
    with progress_bar(TITLE, total, show=True, console=console, clock=lambda: now) as bar:
        for seconds, done in updates:
            now = seconds
            bar.update(done, loss=0.5, theta=None)
    return console.file.getvalue().splitlines()


def test_without_a_terminal_there_is_a_line_a_minute_and_one_at_the_end():
    assert EVERY == 60.0
    lines = lines_of([(seconds, 5 * seconds) for seconds in range(241)])
    assert lines == [
        f"{TITLE}: 300 of 1200, 3 min left  loss 0.5",
        f"{TITLE}: 600 of 1200, 2 min left  loss 0.5",
        f"{TITLE}: 900 of 1200, 1 min left  loss 0.5",
        f"{TITLE}: 1200 of 1200  loss 0.5",
    ]


def test_the_last_line_is_written_once_and_what_is_short_writes_none():
    assert lines_of([(70, 400), (100, 1200)])[-1] == f"{TITLE}: 1200 of 1200  loss 0.5"
    assert len(lines_of([(70, 1200)])) == 1
    assert lines_of([(59, 1200)]) == []
    assert lines_of([]) == []


def test_lines_are_written_at_once_and_whole_in_a_pipe():
    """Longer than the 80 columns that a console takes a pipe for."""
    console, now = Console(file=io.StringIO(), width=80), 0.0
    with progress_bar("x" * 100, 10, show=True, console=console, clock=lambda: now) as bar:
        now = 61.0
        bar.update(5)
        assert console.file.getvalue() == f"{'x' * 100}: 5 of 10, 1 min left\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left on device")])
def test_lines_that_cannot_be_written_do_not_end_the_run(error, monkeypatch):
    """As in the log of a full disk, or in a pipe whose reader has ended."""

    def write(self, text):
        raise error

    monkeypatch.setattr("sys.stdout", type("Full", (io.StringIO,), {"write": write})())
    now = 0.0
    with progress_bar(TITLE, 10, show=True, clock=lambda: now) as bar:
        now = 61.0
        bar.update(5)


def test_nothing_is_shown_if_it_is_not_to_be():
    console = Console(file=io.StringIO(), force_terminal=True)
    with progress_bar(TITLE, 10, show=False, console=console) as bar:
        bar.update(10, loss=1.0)
    assert console.file.getvalue() == ""
