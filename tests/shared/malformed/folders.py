"""Whole run folders of every kind, spoilt as a stranger might, and what becomes of those who read them.

Each folder is read in a process of its own, which may take two seconds of the processor and a gigabyte of
memory beyond the libraries, and must not run, write or reach anything outside the folder.
"""

import json
import os
import random
import resource
import shutil
import signal
import stat
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from malformed.judge import is_clear
from malformed.mutations import Mutation, bytes_of, json_of, lines_of, yaml_of, zipped
from rich.console import Console
from small_tasks import SMALL, small_cells

import asng
from asng.cli.tell import KINDS
from asng.compression.journal import Journal
from asng.errors import AsngError
from asng.experiments.benchmark.store import BenchmarkStore
from asng.experiments.toy.store import ToyStore
from asng.pipeline import run_seeds
from asng.pipeline.retrain import read_architecture
from asng.report import summary_table, write_report
from asng.runs.checkpoint import load_checkpoint
from asng.runs.folder import CHECKPOINT, CHILD, LOG, RESULT, resumes_of
from asng.runs.log import RunLog
from asng.runs.stored import read_json
from asng.settings import ToySettings
from asng.tasks.classification import classification
from asng.tasks.reopen import stored_run
from asng.training import load_child_weights
from malformed import whole

__all__ = ["FOLDERS", "SECONDS", "Outcome", "judge_folder", "warm_up"]

SECONDS, ROOM = 2.0, 2**30
"""Of the processor, and bytes of memory, that a folder may take."""
_WALL = 240
"""Seconds after which a process that waits is ended; one that shares the machine with many does not wait."""


@dataclass(frozen=True)
class Folder:
    """A kind of run folder.

    Attributes:
        write: Writes a whole one.
        resume: Looks at what a resumed run or a later command looks at.
    """

    write: Callable[[Path], None]
    resume: Callable[[Path], Any]


class Outcome(NamedTuple):
    """What became of a folder.

    Attributes:
        kind: "read", "error" (clear ones of ours), "unclear", "crash", "code" (something was run, written or
            reached outside), "time" or "memory".
        seconds: Of the processor.
        megabytes: The greatest memory beyond the libraries.
        spoilt: What was done to the folder.
        said: By what was raised.
    """

    kind: str
    seconds: float
    megabytes: float
    spoilt: tuple[str, ...]
    said: str = ""


# --- whole folders ----------------------------------------------------------------------------------


@cache
def _searched() -> Path:
    """Search small cells with two seeds, for real; the folder goes with the process."""
    home = Path(tempfile.mkdtemp())
    run_seeds(classification(small_cells(home)), SMALL, home / "run", seeds=[0, 1], progress=False)
    return home / "run"


def _write_search(folder: Path) -> None:
    shutil.copytree(_searched() / "seed-0", folder, dirs_exist_ok=True)


def _write_seeds(folder: Path) -> None:
    shutil.copytree(_searched(), folder, dirs_exist_ok=True)


def _write_compression(folder: Path) -> None:
    network = {"score": 0.9, "costs": {"parameters": 100.0, "bytes": 400.0}}
    child = network | {"goal": "half", "limits": {"parameters": 50.0}, "before": 0.7, "files": ["child.pt"]}
    data = {"metric": "accuracy", "higher_is_better": True, "model": network, "measure": "parameters"}
    data |= {"children": [child | {"widths": {"0": [3, 8], "2": [0, 4]}}], "points": [[50, 0.1], [60, 0.2]]}
    data |= {"seconds": {"search": 1.5}, "notes": ["a note"], "fixed": {"4": "it is the output"}}
    (folder / "compression.json").write_text(json.dumps(data))
    (folder / "compression.jsonl").write_text('{"question": "settings", "answer": {"a": 1}}\n')


def _resume_search(folder: Path) -> None:
    for look in (
        lambda: stored_run(folder),
        lambda: load_checkpoint(folder / CHECKPOINT),
        lambda: resumes_of(folder),
        lambda: load_child_weights(folder / CHILD),
        lambda: read_architecture(folder),
        lambda: read_json(folder / RESULT),
        lambda: RunLog(folder / LOG, take=lambda event: None).close(),
    ):
        try:
            look()
        except AsngError as error:
            _RAISED.append(error)


def _resume_seeds(folder: Path) -> None:
    stored_run(folder)
    for seed in (0, 1):
        _resume_search(folder / f"seed-{seed}")


def _resume_minimize(folder: Path) -> None:
    asng.minimize(whole.loss, whole.SPACE, 24, run_dir=folder, resume=True)


FOLDERS = {
    "search": Folder(_write_search, _resume_search),
    "several seeds": Folder(_write_seeds, _resume_seeds),
    "black box": Folder(whole.write_minimize, _resume_minimize),
    "benchmark": Folder(whole.write_benchmark, lambda folder: BenchmarkStore(folder).close()),
    "toy": Folder(whole.write_toy, lambda folder: ToyStore(folder, ToySettings(), seeds=[0, 1]).write()),
    "compression": Folder(
        _write_compression, lambda folder: Journal(folder, {"a": 1}, resume=True, overwrite=False).close()
    ),
}


# --- what a stranger does ---------------------------------------------------------------------------

_KINDS: dict[str, Mutation] = {".json": json_of, ".jsonl": lines_of, ".yaml": yaml_of, ".pt": zipped}
_TARGETS = (
    *("/dev/zero", "/dev/null", "/dev/random", "/dev/tty", "/proc/self/mem", "/etc/hostname", "/etc", "."),
    *("../theirs/thesis.json", "../theirs", "../../theirs/thesis.json", "../../theirs"),
)
_HOSTILE = (
    b"task: user\ndata: x\nseed: 0\nnetwork: {model: {import: os.system, command: touch RAN}, data: {import: "
    b"asng.search.accuracy, forward: os.system, batch: [touch RAN, 1]}}\nsearch: {}\n",
    b"!!python/object/apply:os.system ['touch RAN']\n",
    b"task: !!python/object/new:subprocess.Popen [[touch, RAN]]\n",
    b"cos\nsystem\n(S'touch RAN'\ntR.",  # a pickle
)


def _spoil(folder: Path, rng: random.Random) -> tuple[str, ...]:
    """Do one to three things to files of a folder; return what."""
    return tuple(_spoil_one(folder, rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))


def _add(kind, folder):
    """Put the files of another run into a folder, in place of plain ones: a pipe would keep us waiting."""
    with tempfile.TemporaryDirectory() as home:
        kind.write(Path(home))
        for path in Path(home).iterdir():
            place = folder / path.name
            if not os.path.lexists(place) or (stat.S_ISREG(place.lstat().st_mode) and path.is_file()):
                shutil.move(path, place)


def _spoil_one(folder: Path, rng: random.Random) -> str:
    all_there = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    files = sorted(path for path in all_there if _is_plain(path))
    path = rng.choice(files) if files else folder / "log.jsonl"
    name = str(path.relative_to(folder))
    how = rng.randrange(20)
    if not files or how == 0:
        with suppress(IsADirectoryError):
            path.unlink(missing_ok=True)
        return f"removed {name}"
    if how == 1:
        other = rng.choice(files)
        other.write_bytes(path.read_bytes())
        return f"{name} over {other.name}"
    if how == 2:
        path.unlink()
        os.mkfifo(path)
        return f"{name}: a pipe"
    if how in (3, 4):
        target = rng.choice((*_TARGETS, rng.choice(files).name, path.name))
        path.unlink()
        path.symlink_to(target)
        return f"{name}: a link to {target}"
    if how == 5:
        path.unlink()
        path.mkdir()
        return f"{name}: a folder"
    if how == 6:
        os.truncate(path, rng.choice((0, 2**31, 2**40)))
        return f"{name}: another length"
    if how == 7:
        path.write_bytes(rng.choice(_HOSTILE))
        return f"{name}: hostile"
    if how == 8 and len(files) == len(all_there):
        _add(rng.choice(list(FOLDERS.values())), folder)
        return "another run over it"
    if how in (9, 10, 11, 12) and path.suffix in (".json", ".jsonl"):
        with suppress(ValueError, RecursionError, IndexError):  # it was spoilt before
            path.write_bytes(_grown(path.read_bytes(), path.suffix, rng))
            return f"{name}: grown"
    mutation = _KINDS.get(path.suffix, bytes_of)
    try:
        content = mutation(path.read_bytes(), rng)
    except Exception:  # it was spoilt before
        content = bytes_of(path.read_bytes(), rng)
    path.write_bytes(content)
    return f"{name}: {mutation.__name__}"


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 2**25


def _grown(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """Repeat a value of JSON, or a line, many times: of a mapping under other names, which may be long."""
    many = rng.choice((10, 100, 1_000, 10_000))
    if suffix == ".jsonl" and rng.random() < 0.3:
        lines = content.splitlines(keepends=True)
        return content + rng.choice(lines) * many
    rows = (
        [json.loads(line) for line in content.splitlines()] if suffix == ".jsonl" else [json.loads(content)]
    )
    owners = [value for row in rows for value in _owners(row) if value]
    if not owners:
        return content
    owner = rng.choice(owners)
    if isinstance(owner, list):
        value = rng.choice(owner)
        owner.extend([value] * many)
    else:
        key = rng.choice(list(owner))
        longer = key * rng.choice((1, 1, 1, 1_000))
        owner.update((f"{longer}{n}", owner[key]) for n in range(many if longer == key else 10))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()[: 2**23]


def _owners(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, dict)):
        yield value
        for inner in value if isinstance(value, list) else value.values():
            yield from _owners(inner)


# --- reading it -------------------------------------------------------------------------------------

_RAISED: list[AsngError] = []


def _read(kind: str, folder: Path) -> None:
    """Do all that commands do with a folder that is not to be believed."""

    def report() -> None:
        write_report(folder, kinds=KINDS)

    def table() -> None:
        with Path(os.devnull).open("w") as nowhere:
            Console(file=nowhere, width=200, soft_wrap=True).print(summary_table(folder, kinds=KINDS))

    for command in (report, table, lambda: FOLDERS[kind].resume(folder)):
        try:
            command()
        except AsngError as error:
            _RAISED.append(error)


def warm_up(kinds: Iterable[str] = FOLDERS) -> None:
    """Read each kind once, so that what is loaded and cached is there before processes are forked."""
    for kind, one in ((kind, FOLDERS[kind]) for kind in kinds):
        with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.write(Path(home))
            _read(kind, Path(home))
    assert not _RAISED, _RAISED


def judge_folder(kind: str, folder: Path, rng: random.Random) -> Outcome:
    """Write a whole folder into an empty one, spoil it, and let a process read it."""
    theirs, home = folder / "theirs", folder / "run"
    theirs.mkdir()
    (theirs / "thesis.json").write_text("{}")
    home.mkdir()
    FOLDERS[kind].write(home)
    spoilt = _spoil(home, rng)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(kind, home, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        before, _, said = pipe.read().decode(errors="replace").partition("\n")
    _, status, used = os.wait4(child, 0)
    seconds, megabytes = used.ru_utime + used.ru_stime, max(0, used.ru_maxrss * 1024 - int(before)) / 2**20
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    names = {0: "read", 1: "error", 2: "unclear", 3: "crash", 4: "code", 5: "memory"}
    ended = {-signal.SIGALRM: "time", -signal.SIGXCPU: "time"}
    how = names.get(code) or ended.get(code, "crash")
    if how in ("read", "error") and seconds > SECONDS:
        how = "time"
    if [path.name for path in theirs.iterdir()] != ["thesis.json"] or (
        theirs / "thesis.json"
    ).read_text() != "{}":
        how = "code"
    return Outcome(how, round(seconds, 3), round(megabytes, 1), spoilt, said)


def _in_child(kind: str, folder: Path, pipe: int) -> NoReturn:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    signal.alarm(_WALL)
    resource.setrlimit(resource.RLIMIT_CPU, (int(5 * SECONDS),) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (_taken() + ROOM,) * 2)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.chdir(folder)
    reached: list[str] = []
    code, said = 0, ""
    os.write(pipe, f"{_resident()}\n".encode())
    try:
        _watch(reached)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _read(kind, folder)
        unclear = [str(e) for e in _RAISED if not is_clear(str(e), Path("/"), folder)]  # a path
        memory = [str(e) for e in _RAISED if "MemoryError" in str(e)]
        code = 5 if memory else 2 if unclear else 1 if _RAISED else 0
        said = "; ".join([*memory, *unclear] or [str(e) for e in islice(_RAISED, 1)])
    except MemoryError:
        code, said = 5, "MemoryError"
    except BaseException:
        code, said = 3, traceback.format_exc(limit=-6)
    if reached or (folder / "RAN").exists():
        code, said = 4, f"{reached[:3]} {said}"
    with suppress(OSError):
        os.write(pipe, said[:3_000].encode(errors="replace"))
    os._exit(code)


def _watch(reached: list[str]) -> None:
    """Note what is run or reached from now on."""
    doing = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "subprocess.Popen",
        "socket.connect",
        "pty.spawn",
    )

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in doing:
            reached.append(f"{event} {arguments!r:.100}")

    sys.addaudithook(hear)


def _taken() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
