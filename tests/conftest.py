"""Settings of the whole suite: what a test sees depends on neither the order, the worker nor the machine."""

import gc
import os
import random
import signal
import sys
import warnings
from importlib.machinery import PathFinder
from pathlib import Path

# Two workers on two cores: more threads each would only fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell has what it starts in the background ignore ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from forked import server
from hypothesis import settings

# What is compiled is kept: else each of the processes that tests start compiles the library anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("asng", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("slow", settings.get_profile("asng"), max_examples=100)
settings.load_profile("asng")


_ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark those slow that were measured to be: tools/slow_tests.py."""
    path = Path(__file__).with_name("slow_tests.txt")
    slow = set(path.read_text().splitlines()) if path.exists() else set()
    for item in items:
        if item.nodeid in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def python_signals():
    """Handlers as in a terminal, whatever tests before have left; a background job ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def run_script():
    """Give what runs a script in a process of its own, of which each has torch at hand but not asng."""
    with server() as run:
        yield run


class QuietImports:
    """Silences what modules of others warn of while they are imported.

    Warnings are errors in this suite. A module is imported once a process: one that warns then would fail
    whichever test of a worker comes first, and no other. Whatever else warns is still an error.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or not hasattr(spec.loader, "exec_module"):
            return None
        if not {"site-packages", "dist-packages"} & set(Path(spec.origin).parts):
            return None  # ours: left to the finders behind, of which one rewrites the assertions of tests
        run = spec.loader.exec_module

        def quietly(module):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run(module)

        spec.loader.exec_module = quietly
        return spec


sys.meta_path.insert(0, QuietImports)


def begin_anew():
    """Have the global generators begin at the same numbers, and torch warn each time instead of once."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global one
    torch = sys.modules.get("torch")
    if torch is not None:
        # Without a GPU, torch.manual_seed notes the stack for each that may come, longer than many a test.
        (torch.manual_seed if torch.cuda.is_available() else torch.default_generator.manual_seed)(0)
        torch.set_warn_always(True)


def pytest_configure(config):
    if config.option.markexpr != "not slow":
        settings.load_profile("slow")
    config.option.randomly_reset_seed = (
        False  # of pytest-randomly: the order differs, what tests draw does not
    )


def pytest_collection_finish():
    """Have the collector of garbage pass over what stays, as modules and the tests do, and come seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report():
    begin_anew()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    begin_anew()


def pytest_terminal_summary(terminalreporter, config):
    seed = getattr(config.option, "randomly_seed", "default")
    if seed != "default":
        terminalreporter.write_line(f"in random order: --randomly-seed={seed} has it again")
