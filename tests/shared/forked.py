"""Scripts run in processes of their own that have torch at hand: forked from a server that imported it.

Run as a script it is the server: it reads a line for each script, and answers with how it ended. An empty one
ends it.
"""

import atexit
import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    """What a script printed."""

    out: str
    err: str


@contextmanager
def server() -> Iterator[Callable[..., Said]]:
    """Give a function that runs a script in a folder, warnings being errors, and returns what it prints.

    The words are those of its command line; the code is that of its end, below 0 of a signal.
    """
    words = [sys.executable, __file__]
    with (
        tempfile.TemporaryDirectory() as said,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        out, err = (Path(said) / stream for stream in ("stdout", "stderr"))

        def run(script: str, folder: Path, *words: object, name: str = "<script>", code: int = 0) -> Said:
            job = {"script": script, "words": [name, *map(str, words)], "folder": str(folder)}
            job |= {"out": str(out), "err": str(err)}
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            assert int(process.stdout.readline()) == code, err.read_text()
            return Said(out.read_text(), err.read_text())

        yield run
        process.stdin.write("\n")  # it would not see the end of the pipe if another process has it open too
        process.stdin.close()


def _serve() -> None:
    # What takes long to import: torch imports the first with the first step of an optimiser.
    # Not asng: whether a script imports what it uses of it is to be seen.
    for name in ("torch._dynamo", "scipy.stats", "matplotlib.pyplot", "networkx", "onnxscript", "rich.live"):
        if find_spec(name.partition(".")[0]):  # the tests beside other tools have none of the extra `onnx`
            import_module(name)
    gc.freeze()  # what is collected in a child would be copied for it
    for line in sys.stdin:
        if not line.strip():
            return
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            code = _run(**job)
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # to take all of torch down would take longer than most scripts
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(script: str, words: list[str], folder: str, out: str, err: str) -> int:
    for number, path in enumerate((os.devnull, out, err)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        os.dup2(os.open(path, flags, 0o600), number)
    os.chdir(folder)
    sys.argv, name = words, words[0]
    sys.path[0] = folder if name == "<script>" else str(Path(name).parent)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    warnings.simplefilter("error")
    try:
        exec(compile(script, name, "exec"), main.__dict__)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve()
