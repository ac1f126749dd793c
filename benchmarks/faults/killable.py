"""Every command that can be resumed, small enough to take seconds, to be killed; and what must stay the same.

Commands run in forks of a process that has imported everything, or in a process of their own. Each is a
process group, so that processes which it leaves behind are seen.
"""

import atexit
import json
import multiprocessing
import os
import re
import runpy
import signal
import subprocess
import sys
import time
import traceback
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from asng.cli import main

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("shared", "cli")]
from failing_disk import FailingDisk  # noqa: E402
from small_tasks import write_images  # noqa: E402

CLOCKS = ("seconds", "time", "microseconds", "log_bytes", "latency", "trainings", "machine")
"""Parts of names of fields that differ between two runs of a seed: times, and whether torch was loaded."""
NOT_COMPARED = ("resumes.jsonl", "report.html")
"""Files not compared: the times of resumes, which a whole run lacks, and a page made from the other files."""

HELD = "held"
"""A folder, beside that of the run, that shows that a process waits."""

CODE = '''
"""What a user brings: a model, loaders with workers whose data are changed at random, a function."""

import random

import asng
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Net(nn.Module):
    """Sorts points.

    Args:
        width: Of the layers.
    """

    def __init__(self, width: int = 4):
        super().__init__()
        ops = {"deep": nn.Linear(width, width), "skip": nn.Identity()}
        self.first = nn.Linear(6, width)
        self.body = nn.Sequential(asng.nn.Choice(ops, label="a"), nn.Dropout(0.1), nn.BatchNorm1d(width))
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        return self.last(self.body(self.first(x)))


class Moved(Dataset):
    def __init__(self, n, seed):
        self.data = points(n, seed)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        x, y = self.data[index]
        return x + 0.01 * torch.randn(6) + 0.01 * random.random(), y


def points(n, seed):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def moved(seed: int = 0):
    train = DataLoader(Moved(96, 0), batch_size=8, shuffle=True, num_workers=1)
    return train, DataLoader(points(48, 1), batch_size=16), DataLoader(points(48, 2), batch_size=16)


def trained():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))


def pair():
    return DataLoader(points(96, 0), batch_size=16, shuffle=True), DataLoader(points(48, 1), batch_size=48)
'''
SCRIPT = """
import sys, time
from asng import Categorical, Integer, Space, minimize


def f(a):
    time.sleep(0.004)
    return sum(a[f"c{i}"] != i % 4 for i in range(4)) + abs(a["i"] - 11) / 10


if __name__ == '__main__':
    space = Space({f"c{i}": Categorical(range(4)) for i in range(4)} | {"i": Integer(0, 20)})
    workers, resume = int(sys.argv[1]), "--resume" in sys.argv
    minimize(f, space, 60, seed=3, run_dir="run", workers=workers, resume=resume)
"""
TINY = (
    "--cells 1 --nodes 1 --channels 2 --batch-size 8 --epochs 2 --retrain-epochs 1 --peers 1 --quiet "
    "--device cpu"
)
INPAINT = (
    "--iterations 12 --retrain-iterations 6 --columns 2 --kernels [1,3] --channels [4,8] --batch-size 16 "
    "--peers 1 --quiet --device cpu"
)
OWN = "--model mine.Net --data mine.moved --epochs 3 --retrain-epochs 2 --peers 1 --quiet --device cpu"
TRUST = "--trust mine.Net,mine.moved"
LESS = (
    "--model mine.trained --data mine.pair --epochs 1 --evaluations 8 --finalists 2 --quiet "
    "--maximize accuracy"
)
GRID = "--variables 5 --iterations 200 --learning-rates [0.05,0.5] --exponents [0.5,1.0] --seeds 2 --quiet"
CELLS = "--problems [onemax] --methods [random,ASNG] --budget 60 --seeds 3 --quiet"


@dataclass(frozen=True)
class Command:
    """A command line, and the one that resumes it from its folder.

    Attributes:
        begin: Words after `asng`, or of a Python script if the first ends in `.py`.
        resume: Likewise.
        finished: The other command that makes the run which this one starts from; None: it starts from
            nothing.
        workers: Whether it has processes besides the first.
        any_order: Files whose lines stand in the order in which processes ended.
    """

    begin: str
    resume: str
    finished: str | None = None
    workers: bool = False
    any_order: tuple[str, ...] = ()


GO_ON = "--run-dir run --resume --quiet"
HALF = f"compress --run-dir run {LESS} --budget multiply_adds=0.5"
FRONT = f"compress --run-dir run {LESS} --budget multiply_adds=0.6 parameters=40% --front"
IMAGES = f"--run-dir run --data-dir images {TINY}"
PROGRAM = "export run --format pt2 --output run/child.pt2"

COMMANDS = {
    "search": Command(f"search {IMAGES} --checkpoint-steps 2", f"search {GO_ON}"),
    "search, pace of its own": Command(f"search {IMAGES}", f"search {GO_ON}"),
    "search of three seeds": Command(f"search {IMAGES} --seeds 3 --checkpoint-steps 3", f"search {GO_ON}"),
    "search of a user's model": Command(
        f"search --run-dir run {OWN} --checkpoint-steps 2", f"search {GO_ON} {TRUST}", workers=True
    ),
    "classify": Command(f"classify --preset small {IMAGES} --checkpoint-steps 2", f"classify {GO_ON}"),
    "inpaint": Command(
        f"inpaint --preset small --run-dir run {INPAINT} --checkpoint-steps 2", f"inpaint {GO_ON}"
    ),
    "retrain": Command("retrain run --epochs 2 --seed 5 --peers 2 --quiet", f"search {GO_ON}", "search"),
    "compress": Command(HALF, f"{HALF} --resume"),
    "compress to a front": Command(FRONT, f"{FRONT} --resume"),
    "toy": Command(f"toy --run-dir run {GRID} --workers 1", f"toy {GO_ON} --workers 1"),
    "toy by two workers": Command(
        f"toy --run-dir run {GRID} --workers 2", f"toy {GO_ON}", workers=True, any_order=("toy.json",)
    ),
    "benchmark": Command(f"benchmark --run-dir run {CELLS}", f"benchmark {GO_ON}"),
    "benchmark by two workers": Command(
        f"benchmark --run-dir run {CELLS} --workers 2",
        f"benchmark {GO_ON} --workers 2",
        workers=True,
        any_order=("benchmark.jsonl",),
    ),
    "minimize": Command("search.py 1", "search.py 1 --resume"),
    "minimize by two workers": Command(
        "search.py 2", "search.py 2 --resume", workers=True, any_order=("log.jsonl",)
    ),
    "report": Command("report run", "report run", "search"),
    "export": Command(PROGRAM, PROGRAM, "search"),
    "evaluate": Command("evaluate run", "evaluate run", "search"),
}


def furnish(home: Path) -> None:
    """Write the files that commands read into the folder that they run in."""
    home.mkdir(parents=True)
    write_images(home / "images")
    (home / "mine.py").write_text(CODE)
    (home / "search.py").write_text(SCRIPT)


class Deadly(FailingDisk):
    """Stops the process at its k-th disk operation: it is killed, or held there until it is released.

    Args:
        folder: The folder whose operations count.
        at: The k.
        held: Make the folder `HELD` and wait until it is gone. Otherwise the process is killed by SIGKILL,
            and what it was writing is written only in part.
    """

    def __init__(self, folder: str, at: int | None, held: bool = False) -> None:
        super().__init__(folder, at)
        self.held, self.process = held, os.getpid()
        self.handlers: dict[int, Any] = {}
        self.noted: list[int] = []

    def ask(self, what: str, path: Any) -> None:
        self.done.append(f"{what} {Path(path).name}")
        if what == "close":
            self.hear()
        if len(self.done) - 1 == self.at:
            if self.held:
                # torch writes to a file of C, within which Python answers no signal; an error from this one
                # of Python's would end the process within torch.
                if what == "write" and re.search(r"[.]pt2?\b", Path(path).name):
                    self.defer()
                self.hold()
                return
            if what == "write" and not self.torn:
                self.torn = True
                raise OSError(5, "half is written, then the rest is tried")
            Path("killed-at").write_text(self.done[-1])
            os.kill(os.getpid(), signal.SIGKILL)

    def hold(self) -> None:
        """Wait until the process is released; a worker does not, since it has a disk of its own."""
        if os.getpid() == self.process:
            Path(HELD).mkdir()
            while Path(HELD).exists():
                time.sleep(0.001)

    def defer(self) -> None:
        """Note signals until the file is closed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.handlers[number] = signal.signal(number, lambda number, frame: self.noted.append(number))

    def hear(self) -> None:
        """Handle the signals that were noted."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers.clear()
        while self.noted:
            os.kill(os.getpid(), self.noted.pop(0))

    torn = False


def fork(words: str, home: Path, *, at: int | None = None, held: bool = False, count: bool = False) -> int:
    """Start a command in a fork of this process; return its process ID.

    Args:
        words: Of `Command`.
        home: The folder to run it in.
        at: The number of the disk operation at which it is killed.
        held: Hold it there instead of killing it; see `Deadly`.
        count: Write its disk operations into `asked.json`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = _run(words.split(), home, at, held, count)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:  # as Python would end
        traceback.print_exc()
        code = getattr(error, "code", 130 if isinstance(error, KeyboardInterrupt) else 1)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(words: list[str], home: Path, at: int | None, held: bool, count: bool) -> int:
    os.setpgid(0, 0)
    os.chdir(home)
    for number, path in enumerate((os.devnull, "stdout", "stderr")):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["__main__"] = types.ModuleType("__main__")  # else workers would import this one
    sys.modules.pop("mine", None)
    multiprocessing.current_process()._children = set()  # type: ignore[attr-defined]
    disk = Deadly("run", at, held)
    with pytest.MonkeyPatch.context() as patch:
        watched = disk.spinning(patch)
        if count or at is not None:
            watched.__enter__()
        if words[0].endswith(".py"):
            sys.argv = words
            runpy.run_path(str(home / words[0]), run_name="__main__")
            code = 0
        else:
            sys.argv = ["asng", *words]
            code = main()
        if count:
            watched.__exit__(None, None, None)
            Path("asked.json").write_text(json.dumps(disk.done))
    return code


def spawn(words: str, home: Path) -> int:
    """Start a command in a process of its own, as a user does; return its process ID."""
    first = words.split(maxsplit=1)[0]
    line = [sys.executable, *(() if first.endswith(".py") else ("-m", "asng")), *words.split()]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{home}"}
    with (home / "stdout").open("w") as out, (home / "stderr").open("w") as err:
        process = subprocess.Popen(line, cwd=home, env=env, stdout=out, stderr=err, start_new_session=True)
    process.returncode = 0  # it is waited for by its ID
    return process.pid


def ended(child: int, seconds: float) -> int | None:
    """Return the exit code of a process, < 0 for a signal, or None if it does not end within some time."""
    end = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.0005)


def members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(own) == group and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def orphans(group: int, seconds: float = 10.0) -> int:
    """Return how many processes of a group are left after some time, and end them."""
    end = time.monotonic() + seconds
    while (left := members(group)) and time.monotonic() < end:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return len(left)


def kind(asked: str) -> str:
    """Return a disk operation without the random letters of temporary names."""
    return re.sub(r"[.][0-9a-f]{8}$", "", asked)


def contents(folder: Path, command: Command) -> dict[str, Any]:
    """Return the contents of a run folder by file name, without times."""
    return {
        str(path.relative_to(folder)): _content(path, path.name in command.any_order)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED and not path.name.startswith(".")
    }


def halves(folder: Path) -> list[str]:
    """Return the files that were being written when a run was killed and are still there."""
    return [str(p.relative_to(folder)) for p in folder.rglob(".*") if re.search(r"[.][0-9a-f]{8}$", p.name)]


def _content(path: Path, any_order: bool) -> Any:
    if path.suffix == ".pt":
        return plain(torch.load(path, weights_only=True))
    if path.suffix == ".pt2":
        program = torch.export.load(path)
        return plain(dict(program.state_dict)), str(program.graph)
    if path.suffix == ".jsonl":
        rows = [plain(json.loads(line)) for line in path.open()]
        return sorted(map(repr, rows)) if any_order else rows
    if path.suffix == ".json":
        content = plain(json.loads(path.read_text()))
        return sorted(map(repr, content["cells"])) if any_order else content
    if path.suffix == ".yaml":
        return yaml.safe_load(path.read_text())
    return path.read_bytes()


def plain(value: Any) -> Any:
    """Return a form that can be compared by ==, without times."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {
            str(name): plain(own)
            for name, own in value.items()
            if name != "at" and not any(clock in str(name) for clock in CLOCKS)
        }
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    return repr(value) if isinstance(value, float) else value


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of files that are missing, surplus, or different."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name, "") != expected.get(name, "")]
