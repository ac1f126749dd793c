"""Calls of `asng.minimize` on executors of other libraries, as on its own processes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asng import Integer, Real, Space, minimize
from asng.black_box import MinimizeError
from asng.errors import RunError

SPACE = Space({"x": Real(-1.0, 1.0), "k": Integer(1, 9)})


def losses():
    """Return functions as others are given them: by value, since a test is no module that they can import."""

    def bowl(a):
        return (a["x"] - 0.3) ** 2 + (a["k"] - 4) ** 2

    def lost(a):
        if a["k"] > 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return bowl(a)

    def failing(a):
        if a["k"] > 6:
            raise MemoryError("too wide")
        return bowl(a)

    return bowl, lost, failing


@pytest.fixture(scope="module")
def dask():
    dask = pytest.importorskip("dask")  # the folder tests/distributed is found as "distributed"
    distributed = pytest.importorskip("dask.distributed")
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}
    # Any free port: the usual one may be taken, and Dask would warn.
    cluster = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set(settings), distributed.Client(**cluster) as client:
        client.wait_for_workers(2)
        yield client.get_executor()


@pytest.fixture(scope="module")
def loky():
    loky = pytest.importorskip("loky")
    executor = loky.get_reusable_executor(max_workers=2)
    yield executor
    executor.shutdown(wait=True, kill_workers=True)


@pytest.mark.parametrize("name", ["dask", "loky"])
def test_the_search_is_the_same_on_an_executor(name, request):
    bowl, _, _ = losses()
    alone = minimize(bowl, SPACE, 24)
    result = minimize(bowl, SPACE, 24, workers=request.getfixturevalue(name))
    assert result.history == alone.history


@pytest.mark.parametrize("name", ["dask", "loky"])
def test_calls_are_told_as_they_come_back(name, request):
    bowl, _, _ = losses()
    result = minimize(bowl, SPACE, 30, workers=request.getfixturevalue(name), asynchronous=True)
    assert result.evaluated == 30
    assert result.loss < 0.1


@pytest.mark.parametrize("name", ["dask", "loky"])
def test_a_call_that_fails_ranks_worst_or_ends_the_search(name, request):
    _, _, failing = losses()
    executor = request.getfixturevalue(name)
    result = minimize(failing, SPACE, 24, workers=executor, on_error="worst")
    failed = [one for one in result.history if one.error]
    assert failed
    assert all(one.architecture["k"] > 6 and "too wide" in one.error for one in failed)
    with pytest.raises(MinimizeError, match="too wide"):
        minimize(failing, SPACE, 24, workers=executor)


def test_a_call_whose_dask_worker_was_killed_ranks_worst(dask):
    _, lost, _ = losses()
    result = minimize(lost, SPACE, 10, workers=dask, on_error="worst")
    failed = [one for one in result.history if one.error]
    assert result.evaluated == 10
    assert {one.architecture["k"] for one in failed} & {7, 8, 9}
    assert all("KilledWorker" in one.error for one in failed)  # of what waited for that worker too


def test_a_pool_of_loky_that_is_broken_ends_the_search():
    loky, (_, lost, _) = pytest.importorskip("loky"), losses()
    executor = loky.ProcessPoolExecutor(max_workers=1)
    with pytest.raises(RunError, match="one was killed"):
        minimize(lost, SPACE, 24, workers=executor, on_error="worst")
    executor.shutdown(wait=True, kill_workers=True)


def test_dask_calls_again_what_has_noise(dask):
    import random

    space = Space({"k": Integer(1, 2)})
    result = minimize(lambda a: a["k"] + random.random(), space, 24, workers=dask, noisy=True)
    assert len({one.loss for one in result.history}) == 24


MPI = """
from mpi4py.futures import MPIPoolExecutor
from asng import Integer, Real, Space, minimize

def bowl(a):
    if a["k"] > 8:
        raise MemoryError("too wide")
    return (a["x"] - 0.3) ** 2 + (a["k"] - 4) ** 2

if __name__ == "__main__":
    space = Space({"x": Real(-1.0, 1.0), "k": Integer(1, 9)})
    with MPIPoolExecutor() as executor:
        there = minimize(bowl, space, 24, workers=executor, on_error="worst")
        late = minimize(bowl, space, 24, workers=executor, on_error="worst", asynchronous=True)
        workers = executor.num_workers
    here = minimize(bowl, space, 24, on_error="worst")
    tried = [[(one.architecture, str(one.loss)) for one in result.history] for result in (there, here)]
    print(tried[0] == tried[1], late.evaluated, workers)
"""


def test_mpi_processes_call_as_one_does(tmp_path):
    pytest.importorskip("mpi4py")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    mpiexec = shutil.which("mpiexec", path=places)
    if mpiexec is None:
        pytest.skip("no mpiexec here: it comes with an MPI library")
    (tmp_path / "search.py").write_text(MPI)
    words = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "search.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "24", "2"]
