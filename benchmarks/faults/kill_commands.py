"""Every command killed at every stage, resumed from its folder alone, beside the same command never stopped.

A third of the kills come at the first disk operation of a kind, one kind after the other: files opened, half
written, forced to the disk, renamed, removed. A third come at any disk operation. A third come at a random
moment, also in the first seconds of a process of its own. Some of the resumed runs are killed again.

`--signals` sends SIGTERM, SIGINT once and twice, SIGHUP, and SIGSTOP with SIGCONT instead, to the first
process, to a worker or to all, and records how the command ends. Signals come at each stage of each command,
where it is held until the signal has arrived, and at random moments.

Every file of the run folder is compared bit for bit, without times. Rows are written as they end; the same
command continues with them.

python -m benchmarks.faults.kill_commands --runs 300
python -m benchmarks.faults.kill_commands --runs 1000 --signals
"""

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults import killable
from benchmarks.faults.killable import COMMANDS, Command, contents, differences, ended, fork, halves, spawn
from benchmarks.record import write

PATIENCE = 240.0
"""Seconds after which a command counts as hanging."""
STARTS = 5.0
"""Seconds that a process of its own takes to start, about."""
MOMENTS = 5
"""Number of signals at random moments that each command gets."""
PREVIOUS = "checkpoint.previous.pt"
"""Files that belong to another step if a signal made the run write a checkpoint."""
SIGNALS = {
    "SIGTERM": (signal.SIGTERM,),
    "SIGINT": (signal.SIGINT,),
    "SIGINT twice": (signal.SIGINT, signal.SIGINT),
    "SIGHUP": (signal.SIGHUP,),
    "SIGSTOP, SIGCONT": (signal.SIGSTOP, signal.SIGCONT),
}


class Whole:
    """A command that was never stopped: its time, its disk operations, and its results.

    Args:
        name: Of the command.
        home: The folder to run it in, twice, to check that it is reproducible.
        begun: The command that it starts from, if any.
    """

    def __init__(self, name: str, home: Path, begun: "Whole | None") -> None:
        self.command, self.home = COMMANDS[name], home
        self.begun = None if begun is None else begun.home / "0" / "run"
        results = []
        for number in range(2):
            place = self.place(str(number))
            began = time.monotonic()
            code = ended(fork(self.command.begin, place, count=number == 1), PATIENCE)
            self.seconds = time.monotonic() - began
            assert code == 0, (name, code, (place / "stderr").read_text())
            results.append(contents(place / "run", self.command))
        assert not differences(*results), (name, differences(*results))
        self.contents: dict[str, Any] = results[0]
        # A retraining that was killed before it began has left the earlier run, which is resumed.
        self.before = None if begun is None else begun.contents
        self.asked: list[str] = json.loads((place / "asked.json").read_text())
        kinds = [killable.kind(one) for one in self.asked]
        self.firsts = [at for at, one in enumerate(kinds) if one not in kinds[:at]]

    def goes_on(self, number: int) -> bool:
        """Whether another signal is to come: at a stage, or at one of the random moments after all stages."""
        return number < len(self.firsts) + MOMENTS

    def place(self, name: str) -> Path:
        """Return a new folder to run it in."""
        folder = self.home / name
        shutil.rmtree(folder, ignore_errors=True)
        killable.furnish(folder)
        if self.begun is not None:
            shutil.copytree(self.begun, folder / "run")
        return folder


def killed(whole: Whole, place: Path, words: str, rng: random.Random, number: int) -> dict[str, Any] | None:
    """Start a command and kill it; return how, or None if it finished first."""
    way = number % 3
    if way < 2 and whole.asked:
        at = whole.firsts[number % len(whole.firsts)] if way == 0 else rng.randrange(len(whole.asked))
        child = fork(words, place, at=at)
        how, code = f"at {killable.kind(whole.asked[at])}", ended(child, PATIENCE)
    elif rng.random() < 0.3:
        child = spawn(words, place)
        after = rng.random() * (STARTS + whole.seconds)
        how, code = f"after {after:.2f} s, a process of its own", ended(child, after)
    else:
        child = fork(words, place)
        after = rng.random() * whole.seconds
        how, code = f"after {after:.2f} s", ended(child, after)
    if code is None:
        os.killpg(child, signal.SIGKILL) if rng.random() < 0.2 else os.kill(child, signal.SIGKILL)
        code = ended(child, PATIENCE)
    left = killable.orphans(child)
    return None if code != -signal.SIGKILL else {"how": how, "orphans": left}


def one_kill(name: str, whole: Whole, number: int, seed: int) -> dict[str, Any] | None:
    """Kill a run once or twice, resume it, and compare; None if it finished before it was killed."""
    rng, began = random.Random(f"{seed}/{name}/{number}"), time.monotonic()
    place = whole.place(f"killed{number}")
    words, rows = whole.command.begin, []
    for attempt in range(1 + (rng.random() < 0.25)):
        row = killed(whole, place, words, rng, number + attempt)
        if row is None:
            break
        rows.append(row)
        words = resumed(whole.command, place)
    if not rows:
        shutil.rmtree(place)
        return None
    code = gone_on_with(whole.command, place)
    told = (place / "stderr").read_text()
    found = contents(place / "run", whole.command)
    if found == whole.before:
        code = to_its_end(whole.command.begin, place)
        found = contents(place / "run", whole.command)
    row = {
        "command": name,
        "number": number,
        "how": [one["how"] for one in rows],
        "code": code,
        "differs": differences(found, whole.contents),
        "orphans": sum(one["orphans"] for one in rows),
        "left": halves(place / "run"),
        "seconds": round(time.monotonic() - began, 2),
    }
    if code == 0 and not row["differs"]:
        shutil.rmtree(place)
    else:
        row["told"] = told[-400:]
    return row


def to_its_end(words: str, place: Path) -> int | None:
    """Run a command; return its exit code, or None if it hangs and is therefore killed."""
    child = fork(words, place)
    code = ended(child, PATIENCE)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        ended(child, PATIENCE)
    return code


def gone_on_with(command: Command, place: Path) -> int | None:
    """Resume a run as a user does, who starts anew if the command says so; return the exit code."""
    words = resumed(command, place)
    code = to_its_end(words, place)
    if code == 1 and "Begin it anew, without" in (place / "stderr").read_text():
        code = to_its_end(command.begin, place)
    return code


def resumed(command: Command, place: Path) -> str:
    """Return the words that resume a run: those that began it if nothing of it is on the disk."""
    fresh = not any(path for path in (place / "run").rglob("*") if not path.name.startswith("."))
    return command.begin if fresh else command.resume


def one_signal(name: str, whole: Whole, number: int, seed: int) -> dict[str, Any] | None:
    """Send a signal to a run, see how it ends, resume it, and compare.

    The first runs of a command get the signal at its stages, which are the kinds of its disk operations, one
    after the other; the others get it at a random moment. None: the run finished before the signal.
    """
    rng, began = random.Random(f"{seed}/{name}/{number}/signal"), time.monotonic()
    kinds = list(SIGNALS)
    kind = kinds[(number + list(COMMANDS).index(name)) % len(kinds)]
    to = rng.choice(["first", "all", "worker"])
    place = whole.place(f"signalled{number}")
    at = whole.firsts[number] if number < len(whole.firsts) else None
    child = fork(whole.command.begin, place, at=at, held=at is not None)
    if at is None:
        after = rng.random() * whole.seconds
        moment, reached = f"after {after:.2f} s", ended(child, after) is None
    else:
        moment, reached = f"at {killable.kind(whole.asked[at])}", held(child, place)
    if not reached:
        shutil.rmtree(place)
        return None
    workers = [process for process in killable.members(child) if process != child]
    if to == "worker" and not workers:
        to = "first"
    receivers = {"first": [child], "all": [child, *workers]}.get(to) or [rng.choice(workers)]
    for one in SIGNALS[kind]:
        for process in receivers:
            with suppress(ProcessLookupError):
                os.kill(process, one)
        time.sleep(rng.random() * 0.1)
    with suppress(FileNotFoundError):
        (place / killable.HELD).rmdir()
    code = ended(child, PATIENCE)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        ended(child, PATIENCE)
    left = killable.orphans(child)
    lines = [line for line in (place / "stderr").read_text().splitlines() if not line.startswith("W")]
    again = gone_on_with(whole.command, place) if code else 0
    if contents(place / "run", whole.command) == whole.before:
        again = to_its_end(whole.command.begin, place)
    differing = differences(contents(place / "run", whole.command), whole.contents)
    row = {
        "command": name,
        "number": number,
        "stage": at is not None,
        "how": [f"{kind} to {to} {moment}"],
        "kind": kind,
        "to": to,
        "first_code": code,
        "right_code": _right(code, SIGNALS[kind][0], kind, to),
        "lines": len(lines),
        "code": again,
        "differs": [name for name in differing if Path(name).name != PREVIOUS],
        "orphans": left,
        "left": halves(place / "run"),
        "seconds": round(time.monotonic() - began, 2),
    }
    # If the signal itself ended it, its line may be missing; Python reports what ends a user's script.
    script, lines_right = whole.command.begin.startswith("search.py"), row["lines"] == (code != 0)
    row["right_lines"] = script or (row["lines"] <= 1 if (code or 0) < 0 else lines_right)
    if row["right_code"] and row["right_lines"] and again == 0 and not row["differs"]:
        shutil.rmtree(place)
    else:
        row["told"] = "\n".join(lines)[-600:]
    return row


def held(child: int, place: Path) -> bool:
    """Wait until a run is held at its stage; False if it ends before that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (place / killable.HELD).exists():
            return True
        if ended(child, 0.0) is not None:
            return False
        time.sleep(0.002)
    raise RuntimeError(f"{place}: the run neither ends nor comes to its stage within {PATIENCE} s")


def _right(code: int | None, number: int, kind: str, to: str) -> bool:
    """Whether a command ended as it should: by the signal's code, or well if it had no time to handle it.

    A code below 0 means that the signal itself ended it, before or after Python handles signals. A shell
    reports that like 128 + n.
    """
    if kind.startswith("SIGSTOP"):
        return code == 0
    if to == "worker":  # that of a loader ends the run by an error, any other leaves signals to the first
        return code in (0, 1)
    return code in (0, 128 + number, -number)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count over all commands."""
    exact = [row for row in rows if row["code"] == 0 and not row["differs"]]
    counted = {
        "runs_resumed": len(rows),
        "kills": sum(len(row["how"]) for row in rows),
        "exact": len(exact),
        "orphans": sum(row["orphans"] for row in rows),
        "left": sum(len(row["left"]) for row in rows),
        "commands": len({row["command"] for row in rows}),
    }
    if rows and "kind" in rows[0]:
        counted["stages"] = len({(row["command"], row["number"]) for row in rows if row["stage"]})
        counted["right_code"] = sum(row["right_code"] for row in rows)
        counted["right_lines"] = sum(row["right_lines"] for row in rows)
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", action="store_true")
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--rows", type=Path, default=None, help="where rows are written as they end")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    act, name = (one_signal, "signals") if arguments.signals else (one_kill, "kill_commands")
    path = arguments.rows or Path("build") / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in path.open()] if path.exists() else []
    begun = {(row["command"], row["number"]) for row in rows}
    home, wholes = Path(tempfile.mkdtemp()), dict[str, Whole]()
    for command in arguments.commands if len(rows) < arguments.runs else ():
        for needed in filter(None, (COMMANDS[command].finished, command)):
            if needed not in wholes:
                first = COMMANDS[needed].finished
                place = home / needed.replace(" ", "-")
                wholes[needed] = Whole(needed, place, wholes[first] if first else None)
        print(f"{command}: {wholes[command].seconds:.1f} s, {len(wholes[command].asked)} things", flush=True)
    number = 0
    while len(rows) < arguments.runs and (
        going := [one for one in arguments.commands if act is one_kill or wholes[one].goes_on(number)]
    ):
        for command in going:
            if (command, number) in begun or len(rows) >= arguments.runs:
                continue
            row = act(command, wholes[command], number, arguments.seed)
            if row is None:
                continue
            rows.append(row)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print({key: value for key, value in row.items() if key != "number"}, flush=True)
        number += 1
        write(name, {"seed": arguments.seed, **summary(rows)}, rows)
    print(write(name, {"seed": arguments.seed, **summary(rows)}, rows), summary(rows), home)


if __name__ == "__main__":
    main()
