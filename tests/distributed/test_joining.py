"""Which processes, backend and device a run finds."""

import atexit
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from processes import together, values
from small_search import search

from asng.distributed import TorchComm, joined, joining, leads, own_device
from asng.distributed.comm import LocalComm
from asng.errors import RunError


@pytest.fixture
def beside_others(monkeypatch):
    names = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in {**names, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def gpus(monkeypatch):
    """Let torch say that there are GPUs."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_without_torchrun_there_is_one_process():
    with joined() as comm:
        assert isinstance(comm, LocalComm)
    assert leads()
    assert not dist.is_initialized()


def test_the_first_of_several_leads(beside_others, monkeypatch):
    assert not leads()
    monkeypatch.setenv("RANK", "0")
    assert leads()


@pytest.mark.parametrize(("count", "device"), [(2, "cuda:1"), (8, "cuda:1"), (1, "cuda:0")])
def test_each_process_of_a_machine_takes_its_own_gpu(beside_others, gpus, count, device):
    gpus(count)
    assert own_device() == torch.device(device)


@pytest.mark.parametrize("among", [False, True])
def test_apples_accelerator_is_taken_by_a_process_that_is_alone(among, gpus, request, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    if among:
        request.getfixturevalue("beside_others")
    assert own_device() == torch.device("cpu" if among else "mps")
    if not among:
        gpus(1)
        assert own_device() == torch.device("cuda")


WITHOUT_PROCESSES = """
import torch.distributed

for name in [name for name in vars(torch.distributed) if not name.startswith("__")]:
    delattr(torch.distributed, name)
torch.distributed.is_available = lambda: False

import asng.pipeline
from asng.distributed import joined

with joined() as comm:
    print(comm.size)
"""


def test_a_torch_that_knows_no_processes_is_enough_for_one(run_script, tmp_path):
    assert run_script(WITHOUT_PROCESSES, tmp_path).out == "1\n"


def test_one_process_takes_the_default_gpu_and_none_without(gpus):
    assert own_device() == torch.device("cpu")
    gpus(2)
    assert own_device() == torch.device("cuda")


@pytest.mark.parametrize(
    ("count", "nccl", "backend"),
    [
        (0, True, "gloo"),
        (1, True, "gloo"),  # two processes share it, which NCCL refuses
        (2, False, "gloo"),
        (2, True, "cpu:gloo,cuda:nccl"),
    ],
)
def test_nccl_is_used_where_each_process_has_a_gpu(beside_others, gpus, monkeypatch, count, nccl, backend):
    asked, devices = [], []
    if count:
        gpus(count)
    monkeypatch.setattr(torch.cuda, "set_device", devices.append)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(joining, "rendezvous", lambda url: iter([("store", 3, 4)]))
    monkeypatch.setattr(dist, "init_process_group", lambda name, **named: asked.append((name, named)))
    joining._make_group()
    assert asked == [(backend, {"store": "store", "rank": 3, "world_size": 4})]
    assert devices == ([torch.device("cuda", 1 % count)] if count else [])


def own_group(folder):
    """A group that the caller made, and made anew."""
    found, rank, size = [], int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    for number in range(2):
        dist.init_process_group("gloo", f"file://{folder}/{number}", rank=rank, world_size=size)
        with joined() as comm, joined() as inner:
            found.append([isinstance(comm, TorchComm), comm.size, inner is comm, comm.deal(2, str, int)])
        dist.destroy_process_group()
    return found


def test_a_process_group_of_the_caller_is_used_also_a_second_one(tmp_path):
    assert values(own_group, str(tmp_path)) == [[[True, 2, True, [0, 1]]] * 2] * 2


def failing_once(folder):
    """The first process, which holds what they tell each other, fails, and the script lets both go on."""
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=size)
    try:
        with joined() as comm:
            if comm.leads:
                raise ValueError("a bad day")
            comm.deal(2, str, int)
    except (ValueError, RunError) as error:
        told = str(error)
    with joined() as comm:
        return [told, comm.deal(2, str, int)]


def test_in_a_group_of_the_caller_an_error_is_told_and_all_may_go_on(tmp_path):
    first, second = values(failing_once, str(tmp_path))
    assert first == ["a bad day", [0, 1]]
    assert "got an error in process 0: ValueError: a bad day. Fix it" in second[0]
    assert second[1] == [0, 1]


def no_store(folder):
    def refuse(*given, **named):
        raise RuntimeError("no network")

    dist.TCPStore = refuse
    return own_group(folder)


def test_where_no_store_can_be_opened_a_group_of_the_caller_is_used_without(tmp_path):
    assert values(no_store, str(tmp_path)) == [[[True, 2, True, [0, 1]]] * 2] * 2


def group_of_one():
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
    with joined() as comm:
        return type(comm).__name__


def test_a_group_of_one_process_is_none():
    assert values(group_of_one, size=1) == ["LocalComm"]


def twice():
    first, second = search("plain"), search("plain")
    return first["theta"] == second["theta"]


def test_processes_stay_together_for_a_second_search():
    assert values(twice) == [True, True]


def gloo_threads():
    """Those of torch's gloo backend in this process."""
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum("gloo" in name for name in names)


def threads_at_the_end(*folder):
    """How many there are while processes work together, and when Python has run what is to run at its end."""
    for of_caller in folder:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group("gloo", f"file://{of_caller}/store", rank=rank, world_size=size)
    search("plain")
    with joined() as comm:  # kept by this function to its end
        comm.deal(2, str, int)
    working = gloo_threads()
    if folder:
        dist.destroy_process_group()
    atexit._run_exitfuncs()  # multiprocessing's children would leave it out
    return [working > 0, gloo_threads()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in Linux's /proc")
@pytest.mark.parametrize("of_caller", [False, True])
def test_no_thread_of_a_group_outlives_what_python_runs_at_its_end(tmp_path, of_caller):
    # One that then lets go of a tensor needs an interpreter that is no longer there, and aborts the process.
    assert values(threads_at_the_end, *([str(tmp_path)] if of_caller else [])) == [[True, 0]] * 2


def after_an_error():
    try:
        search("raise")
    except Exception:
        search("plain")


def test_processes_that_an_error_has_parted_do_not_go_on():
    for ended in together(after_an_error):
        assert "expected all that torchrun started, but an earlier error has disconnected" in ended.error
