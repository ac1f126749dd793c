"""Scripts run in processes of their own that have torch at hand: forked from a server that imported it.

Run as a script it is the server: it reads a line for each script, and answers with how it ended.
"""

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
from pathlib import Path


@contextmanager
def server() -> Iterator[Callable[..., str]]:
    """Give a function that runs a script in a folder, warnings being errors, and returns what it prints."""
    words = [sys.executable, __file__]
    with (
        tempfile.TemporaryDirectory() as said,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        out, err = (Path(said) / stream for stream in ("stdout", "stderr"))

        def run(code: str, folder: Path, name: str = "<script>") -> str:
            job = {"code": code, "name": name, "folder": str(folder), "out": str(out), "err": str(err)}
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            status = process.stdout.readline().strip()
            assert status == "0", err.read_text()
            return out.read_text()

        yield run
        process.stdin.close()


def _serve() -> None:
    # What takes long to import. Not asng: whether a script imports what it uses of it is to be seen.
    for name in (
        "torch._dynamo",
        "scipy.special",
        "scipy.stats",
        "matplotlib.pyplot",
        "onnxscript",
        "rich.live",
    ):
        import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(**job)
        print(os.waitpid(child, 0)[1], flush=True)


def _run(code: str, name: str, folder: str, out: str, err: str) -> None:
    for number, path in enumerate((os.devnull, out, err)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        os.dup2(os.open(path, flags, 0o600), number)
    os.chdir(folder)
    sys.argv = [name]
    sys.path[0] = folder if name == "<script>" else str(Path(name).parent)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    warnings.simplefilter("error")
    try:
        exec(compile(code, name, "exec"), main.__dict__)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    _serve()
