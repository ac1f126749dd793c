"""Scripts run in processes of their own that have torch at hand: forked from a server that imported it."""

import multiprocessing
import os
import sys
import tempfile
import traceback
import types
import warnings
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
# What takes long to import. Not asng: whether a script imports what it uses of it is to be seen.
_SERVER.set_forkserver_preload(["torch", "scipy.special", "scipy.stats", "matplotlib.pyplot", "jsonargparse"])


def run_script(code: str, folder: Path, name: str = "<script>") -> str:
    """Run a script in a folder as the main module, with warnings as errors; return what it prints."""
    with tempfile.TemporaryDirectory() as said:
        stdout, stderr = (Path(said) / name for name in ("stdout", "stderr"))
        process = _SERVER.Process(target=_run, args=(code, name, folder, stdout, stderr))
        process.start()
        process.join()
        assert process.exitcode == 0, stderr.read_text()
        return stdout.read_text()


def _run(code: str, name: str, folder: Path, stdout: Path, stderr: Path) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    sys.argv = [name]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    warnings.simplefilter("error")
    try:
        exec(compile(code, name, "exec"), main.__dict__)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
