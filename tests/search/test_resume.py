"""A run that is interrupted and resumed is the run that was never stopped, bit for bit."""

import functools
import signal
from pathlib import Path

import problems
import pytest
import torch
from problems import data, events_without_clocks, fit, loader, searcher, stopping, two_layers
from torch.utils.data import DataLoader, TensorDataset

from asng.errors import AsngError, RunError
from asng.search import StopRule

SCRIPT = Path(problems.__file__)
KINDS = ["plain", "own generator", "batch sampler", "own generator within"]


def _assert_same(search, whole, folder, whole_folder):
    one, other = search.supernet.state_dict(), whole.supernet.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert search.architecture_optimizer.state_dict() == whole.architecture_optimizer.state_dict()
    assert events_without_clocks(folder) == events_without_clocks(whole_folder)
    name = "architecture.json"
    assert (folder / name).read_text() == (whole_folder / name).read_text()
    assert not list(folder.glob(".*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give the search of each kind that was never stopped, and its folder: made once, only looked at."""

    @functools.cache
    def made(kind="plain"):
        torch.manual_seed(0)
        search, folder = searcher(), tmp_path_factory.mktemp("whole")
        fit(search, kind, run_dir=folder)
        return search, folder

    return made


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        *(("plain", step) for step in (1, 5, 6, 12, 13, 17, 18, 23, 24)),  # around the ends of epochs
        *((kind, step) for kind in KINDS[1:] for step in (6, 13, 17)),
    ],
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(kind, step, whole, tmp_path):
    (whole, whole_folder), folder = whole(kind), tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(step)), kind, run_dir=folder)
    torch.manual_seed(step)  # the state of the caller's generator must not matter
    search = searcher()
    result = fit(search, kind, run_dir=folder, resume=True)
    assert (result.steps, result.reason) == (24, "finished")
    _assert_same(search, whole, folder, whole_folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_may_be_interrupted_many_times(number, whole, tmp_path):
    (whole, whole_folder), folder = whole(), tmp_path / "parts"
    for part in range(5):
        search = searcher(loss=stopping(5, number))
        try:
            fit(search, run_dir=folder, resume=part > 0)
        except KeyboardInterrupt:
            assert part < 4
    _assert_same(search, whole, folder, whole_folder)


def test_the_same_search_object_can_go_on(whole, tmp_path):
    (whole, whole_folder), folder = whole("own generator"), tmp_path / "parts"
    search = searcher(loss=stopping(8))
    with pytest.raises(KeyboardInterrupt):
        fit(search, "own generator", run_dir=folder)
    fit(search, "own generator", run_dir=folder, resume=True)
    _assert_same(search, whole, folder, whole_folder)


@pytest.mark.parametrize("step", [11, 14, 16])
def test_two_loaders_may_share_a_generator(step, tmp_path):
    def go(search, folder, **settings):
        shared = torch.Generator().manual_seed(1)
        train, valid = (DataLoader(data(n), 8, shuffle=True, generator=shared) for n in (48, 40))
        search.fit(train, valid, epochs=4, progress=False, run_dir=folder, **settings)

    whole, folder = searcher(warmup=0.2), tmp_path / "parts"
    go(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(searcher(warmup=0.2, loss=stopping(step)), folder)
    search = searcher(warmup=0.2)
    go(search, folder, resume=True)
    _assert_same(search, whole, folder, tmp_path / "whole")


def test_data_that_is_drawn_at_random_goes_on_too(tmp_path):
    class Noisy(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x + torch.randn(3), y

    def go(search, folder, **settings):
        noisy = DataLoader(Noisy(*data().tensors), 8, shuffle=True)
        search.fit(noisy, loader(), epochs=4, progress=False, run_dir=folder, **settings)

    whole, folder = searcher(), tmp_path / "parts"
    go(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(searcher(loss=stopping(9)), folder)
    search = searcher()
    go(search, folder, resume=True)
    _assert_same(search, whole, folder, tmp_path / "whole")


def test_adam_and_a_run_without_schedule_go_on_too(tmp_path):
    settings = {"optimizer": torch.optim.Adam, "scheduler": None, "clip": None}
    whole, folder = searcher(**settings), tmp_path / "parts"
    fit(whole, run_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(9), **settings), run_dir=folder)
    search = searcher(**settings)
    fit(search, run_dir=folder, resume=True)
    _assert_same(search, whole, folder, tmp_path / "whole")


def test_a_count_of_patience_goes_on(tmp_path):
    settings = {"stop": StopRule(patience=4), "minimize": lambda forward, batch: 0.0}
    whole, folder = searcher(**settings), tmp_path / "parts"
    assert fit(whole, run_dir=tmp_path / "whole").steps == 17
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(15), **settings), run_dir=folder)
    search = searcher(**settings)
    assert fit(search, run_dir=folder, resume=True).reason == "patience"
    _assert_same(search, whole, folder, tmp_path / "whole")


def test_a_signal_in_the_last_step_ends_the_caller_and_the_run_is_whole(tmp_path):
    whole, folder = searcher(stop=StopRule(entropy=1.0)), tmp_path / "parts"
    fit(whole, run_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(stop=StopRule(entropy=1.0), loss=stopping(13)), run_dir=folder)
    assert events_without_clocks(folder) == events_without_clocks(tmp_path / "whole")
    (folder / "architecture.json").unlink()  # as where it was killed before it wrote that
    search = searcher(stop=StopRule(entropy=1.0))
    result = fit(search, run_dir=folder, resume=True)
    assert (result.reason, result.steps) == ("entropy", 13)
    _assert_same(search, whole, folder, tmp_path / "whole")


def test_a_finished_run_is_only_read(tmp_path):
    fit(searcher(), run_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = fit(searcher(loss=lambda forward, batch: 1 / 0), run_dir=tmp_path, resume=True)
    assert result.steps == 24
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def _assert_kills_leave_no_trace(tmp_path, run_script, kills, whole):
    whole, whole_folder = whole("plain")
    folder, search = tmp_path / "parts", SCRIPT.read_text()
    for part, calls in enumerate(kills):
        words = folder, calls, "resume" if part else "new"
        run_script(search, tmp_path, *words, name=str(SCRIPT), code=-signal.SIGKILL)
    run_script(search, tmp_path, folder, 0, "resume", name=str(SCRIPT))
    assert events_without_clocks(folder) == events_without_clocks(whole_folder)
    weights = torch.load(folder / "weights.pt", weights_only=True)
    assert all(torch.equal(weights[name], value) for name, value in whole.supernet.state_dict().items())
    assert (folder / "architecture.json").read_text() == (whole_folder / "architecture.json").read_text()


def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, run_script, whole):
    _assert_kills_leave_no_trace(tmp_path, run_script, [20], whole)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(whole, tmp_path):
    (whole, whole_folder), folder = whole(), tmp_path / "parts"
    folder.mkdir()
    (folder / "log.jsonl").write_text('{"event": "sta')
    again = searcher()
    fit(again, run_dir=folder, resume=True)
    _assert_same(again, whole, folder, whole_folder)


def test_a_run_killed_again_and_again_goes_on(tmp_path, run_script, whole):
    _assert_kills_leave_no_trace(tmp_path, run_script, [1, 3, 8, 1, 9, 11], whole)


# --- what cannot be resumed, and what is not overwritten -----------------------------------------------


@pytest.fixture
def stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(8)), run_dir=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "left", ["log.jsonl", "checkpoint.pt", "checkpoint.previous.pt", "architecture.json"]
)
def test_an_earlier_run_is_not_overwritten_unasked(left, tmp_path):
    (tmp_path / left).write_text("earlier")
    with pytest.raises(RunError, match=r"already contains a run \(.*\)\. Pass resume=True"):
        fit(searcher(), run_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [left]
    assert (tmp_path / left).read_text() == "earlier"


def test_overwrite_leaves_nothing_of_the_earlier_run(tmp_path):
    fit(searcher(), run_dir=tmp_path)
    (tmp_path / ".checkpoint.pt.0a1b2c3d").write_text("half")
    (tmp_path / "config.yaml").write_text("mine: 1")
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(1)), run_dir=tmp_path, overwrite=True)
    names = {"config.yaml", "log.jsonl", "checkpoint.pt", "checkpoint.previous.pt"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(events_without_clocks(tmp_path)) == 5  # start, theta, step 1, theta, end
    fit(searcher(), run_dir=tmp_path, resume=True)
    fit(searcher(), run_dir=tmp_path / "whole")
    assert events_without_clocks(tmp_path) == events_without_clocks(tmp_path / "whole")


def test_resume_without_a_checkpoint_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(RunError, match=r"checkpoint.pt: expected a checkpoint to resume from, found none"):
        fit(searcher(), run_dir=tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


def test_a_log_shorter_than_its_checkpoint_is_an_error(stopped):
    (stopped / "log.jsonl").write_bytes(b"")
    with pytest.raises(RunError, match=r"log.jsonl: expected the log of the checkpoint, at least \d+ bytes"):
        fit(searcher(), run_dir=stopped, resume=True)
    (stopped / "log.jsonl").unlink()
    with pytest.raises(RunError, match="Put the log back"):
        fit(searcher(), run_dir=stopped, resume=True)
    assert not (stopped / "log.jsonl").exists()


def test_a_run_of_other_length_is_not_resumed(stopped):
    with pytest.raises(RunError, match="expected a run with epochs=5, got one with epochs=4"):
        fit(searcher(), epochs=5, run_dir=stopped, resume=True)


def test_a_run_of_another_space_is_not_resumed(stopped):
    from problems import linear_or_zero

    with pytest.raises(RunError, match="expected a checkpoint of this search space, got one of another"):
        fit(searcher(linear_or_zero()), run_dir=stopped, resume=True)


def test_a_run_of_another_model_is_not_resumed(stopped):
    with pytest.raises(RunError, match="does not fit this search: Error"):
        fit(searcher(two_layers(norm=True)), run_dir=stopped, resume=True)


def test_a_run_of_an_optimizer_with_other_groups_is_not_resumed(stopped):
    def groups(parameters):
        return torch.optim.SGD([{"params": [one]} for one in parameters])

    with pytest.raises(RunError, match="does not fit this search"):
        fit(searcher(optimizer=groups), run_dir=stopped, resume=True)


def test_a_run_with_other_lambda_is_not_resumed(stopped):
    with pytest.raises(RunError, match="lam"):
        fit(searcher(lam_theta=4), run_dir=stopped, resume=True)


def test_a_run_with_other_loaders_is_not_resumed(stopped):
    with pytest.raises(RunError, match="train_loader: expected the loader of the checkpoint, 6 batches"):
        searcher().fit(loader(96), loader(24), epochs=2, progress=False, run_dir=stopped, resume=True)
    with pytest.raises(RunError, match=r"generators \['default'\], got 6 and \['default', 'loader'"):
        fit(searcher(), "own generator", run_dir=stopped, resume=True)


def test_a_refused_resume_leaves_the_folder_as_it_is(stopped):
    before = {path.name: path.read_bytes() for path in stopped.iterdir()}
    for settings in ({"epochs": 5}, {"train": "own generator"}):
        with pytest.raises(RunError, match="expected"):
            fit(searcher(), run_dir=stopped, resume=True, **settings)
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == before


def test_an_error_in_the_loss_closes_the_log_and_can_be_resumed(whole, tmp_path):
    @functools.wraps(problems.mse)
    def loss(forward, batch):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fit(searcher(loss=loss), run_dir=tmp_path / "parts")
    search, (whole, whole_folder) = searcher(), whole()
    fit(search, run_dir=tmp_path / "parts", resume=True)
    _assert_same(search, whole, tmp_path / "parts", whole_folder)


def test_a_run_dir_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: expected a folder to write a run into"):
        fit(searcher(), run_dir=tmp_path / "file")


JUNK = [None, -1, 10**30, float("nan"), "x", [], {"a": 1}, torch.zeros(2), torch.zeros(0), "[" * 100_000]


NAMES = [
    *("steps", "lam_x", "step", "seconds", "evaluated", "over_budget", "reason", "ended", "log_bytes"),
    *("space", "settings", "model", "final", "trainer", "theta", "settling", "watch", "finite", "memory"),
    *("costs", "scorer", "callbacks", "train", "valid", "generators"),
]
WITHIN = ["trainer/optimizer", "trainer/scheduler", "generators/torch", "generators/cuda", "generators/plain"]
WITHIN += ["trainer/gradients", "scorer/undefined"]


def _put(state, path, *value):
    """Return a state with another value at a path, or without it."""
    name, _, rest = path.partition("/")
    others = {key: old for key, old in state.items() if key != name}
    if rest:
        return others | {name: _put(state[name], rest, *value)}
    return others | dict(zip([name], value, strict=False))


@pytest.mark.parametrize("path", [*NAMES, *WITHIN])
def test_a_checkpoint_with_a_value_that_cannot_be_is_a_run_error_or_is_taken(path, tmp_path):
    fit(searcher(), epochs=1, run_dir=tmp_path)
    file = tmp_path / "checkpoint.pt"
    state = torch.load(file, weights_only=True)
    assert set(state) == {*NAMES, "format"}
    torch.save(_put(state, path), file)
    lacking = "does not fit this search" if "/" in path else f"a checkpoint with '{path}', got one without"
    with pytest.raises(RunError, match=lacking):
        fit(searcher(), epochs=1, run_dir=tmp_path, resume=True)
    refused = 0
    for junk in JUNK:
        torch.save(_put(state, path, junk), file)
        try:
            fit(searcher(), epochs=1, run_dir=tmp_path, resume=True)
        except AsngError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017 - it need not raise
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
    # None and "x" may be reasons; without a GPU there are no states; a schedule takes what it does not know;
    # where a warm-up is given nobody looks whether the order has settled.
    fewer = {"reason": 7, "generators/cuda": 4, "trainer/scheduler": 7, "settling": 0}
    assert refused >= fewer.get(path, 9)
