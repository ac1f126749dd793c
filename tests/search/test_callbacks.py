"""Callbacks: what they are told, what they may change, and that they resume with the run."""

import numpy as np
import pytest
import torch
from problems import fit, loader, mse, searcher, stopping, two_layers
from torch import nn

from asng.errors import InputError
from asng.runs.history import read_log
from asng.search import Callback, loop


class Told(Callback):
    def __init__(self):
        self.told = []

    def begin(self, loop):
        super().begin(loop)
        self.told.append("begin")

    def step(self, number, loss, objective):
        self.told.append(("step", number, objective is not None))

    def theta(self, number, architectures, losses):
        assert len(architectures) == len(losses) == 2
        self.told.append(("theta", number))

    def checkpoint(self, number, folder):
        assert (folder / "checkpoint.pt").exists()
        self.told.append(("checkpoint", number))

    def final(self, finalists):
        self.told.append(("final", [one.alone is not None for one in finalists]))

    def end(self, result):
        self.told.append(("end", result.reason, result.finalists != ()))

    def close(self):
        self.told.append("close")


def test_a_callback_is_told_what_a_search_does(tmp_path):
    told = Told()
    fit(searcher(callbacks=[told]), epochs=1, run_dir=tmp_path / "run")
    steps = [("step", number, number > 3) for number in range(1, 7)]
    thetas = [("theta", number) for number in (3, 4, 5)]
    assert told.told[:2] == ["begin", ("checkpoint", 0)]
    assert [event for event in told.told if event[0] == "step"] == steps
    assert [event for event in told.told if event[0] == "theta"] == thetas
    assert told.told[-3:] == [("checkpoint", 6), ("end", "finished", False), "close"]


def test_the_log_has_the_candidates_that_theta_was_told_of(tmp_path):
    class Candidates(Callback):
        def __init__(self):
            self.told = []

        def theta(self, number, architectures, losses):
            self.told.append((number + 1, list(map(dict, architectures)), list(losses)))

    callback = Candidates()
    search = searcher(callbacks=[callback])
    fit(search, epochs=1, run_dir=tmp_path / "run")
    space, log = search.supernet.space, read_log(tmp_path / "run" / "log.jsonl")
    found = [
        (
            one.step,
            [
                {name: space[name].decode(x) for name, x in zip(space, places, strict=True)}
                for places in one.places
            ],
            list(one.losses),
        )
        for one in log.compared
    ]
    assert found == callback.told != []


def test_the_log_of_a_large_space_has_no_candidates(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_MOST_COORDINATES", 2)
    fit(searcher(), epochs=1, run_dir=tmp_path / "run")
    assert read_log(tmp_path / "run" / "log.jsonl").compared == ()


def test_a_callback_is_closed_last_and_once_however_the_run_ends():
    told = Told()
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(3), callbacks=[told]))
    assert told.told[-1] == "close"
    assert told.told.count("close") == 1


def test_finalists_are_told():
    told = Told()
    fit(searcher(final=0.5, finalists=2, callbacks=[told]), epochs=40)
    finals = [event for event in told.told if event[0] == "final"]
    assert len(finals) >= 2
    assert told.told[-2:] == [("end", "finished", True), "close"]


def weights_of(search, **settings):
    fit(search, **{"train": "own generator", "epochs": 2} | settings)
    return [p.detach().clone() for p in search.supernet.parameters()]


def test_callbacks_that_do_nothing_change_no_bit():
    plain, hooked = weights_of(searcher()), weights_of(searcher(callbacks=[Callback(), Told()]))
    assert all(map(torch.equal, plain, hooked))


class Accumulate(Callback):
    """Updates after every n-th step, by the mean gradient."""

    def __init__(self, n):
        self.n, self.steps = n, 0

    def scaled(self, loss):
        return loss / self.n

    def updates(self):
        self.steps += 1
        return self.steps % self.n == 0

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def test_accumulated_gradients_are_those_of_all_the_batches():
    from asng.nn import Choice, Supernet

    def search(**settings):
        torch.manual_seed(0)
        one = Supernet(nn.Sequential(nn.Linear(3, 1), Choice([nn.Identity()], label="c")))
        return searcher(one, optimizer=sgd, scheduler=None, clip=None, warmup=1.0, **settings)

    def run(one, batch_size):
        batches = loader(batch_size=batch_size, kind="own generator")
        one.fit(batches, loader(24), epochs=1, progress=False, check=False)
        return [p.detach().clone() for p in one.supernet.parameters()]

    twice, once = run(search(callbacks=[Accumulate(2)]), 8), run(search(), 16)
    for left, right in zip(twice, once, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("at", [5, 6])
def test_a_run_is_gone_on_with_between_accumulated_steps(at, tmp_path):
    def search(loss=mse):
        return searcher(loss=loss, callbacks=[Accumulate(2)], checkpoint_seconds=0.0)

    whole = weights_of(search(), run_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        weights_of(search(stopping(at)), run_dir=tmp_path / "parts")
    parts = weights_of(search(), run_dir=tmp_path / "parts", resume=True)
    assert all(map(torch.equal, whole, parts))


class Scaler(Callback):
    """Scales losses, as for float16."""

    def __init__(self):
        self.scaler, self.updated = torch.amp.GradScaler("cpu", init_scale=2.0**10), []

    def scaled(self, loss):
        return self.scaler.scale(loss)

    def gradients(self, optimizer):
        self.scaler.unscale_(optimizer)

    def update(self, optimizer, *, finite):
        self.scaler.step(optimizer)
        self.scaler.update()
        self.updated.append(finite)
        return True

    def state_dict(self):
        return self.scaler.state_dict()

    def load_state_dict(self, state):
        self.scaler.load_state_dict(state)


def test_a_scaler_takes_the_updates_over():
    scaler = Scaler()
    plain, scaled = weights_of(searcher()), weights_of(searcher(callbacks=[scaler]))
    for left, right in zip(plain, scaled, strict=True):
        torch.testing.assert_close(left, right)
    assert scaler.updated == [True] * 12


class Average(Callback):
    """An exponential moving average of the shared weights, which the supernet has at the end."""

    def begin(self, loop):
        super().begin(loop)
        self.average = [p.detach().clone() for p in loop.trainer.parameters]

    def step(self, number, loss, objective):
        for mean, parameter in zip(self.average, self.loop.trainer.parameters, strict=True):
            mean.lerp_(parameter.detach(), 0.1)

    def end(self, result):
        with torch.no_grad():
            for mean, parameter in zip(self.average, self.loop.trainer.parameters, strict=True):
                parameter.copy_(mean)

    def state_dict(self):
        return {"average": self.average}

    def load_state_dict(self, state):
        self.average = state["average"]


def test_an_average_of_the_weights_resumes_and_is_what_the_child_has(tmp_path):
    def search(loss=mse):
        return searcher(loss=loss, callbacks=[Average()], checkpoint_seconds=0.0)

    whole = weights_of(search(), run_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        weights_of(search(stopping(7)), run_dir=tmp_path / "parts")
    parts = weights_of(search(), run_dir=tmp_path / "parts", resume=True)
    assert all(map(torch.equal, whole, parts))
    assert not all(map(torch.equal, whole, weights_of(searcher())))


def test_a_run_with_other_callbacks_is_not_resumed(tmp_path):
    from asng.errors import RunError

    fit(searcher(callbacks=[Told()]), epochs=1, run_dir=tmp_path / "run")
    with pytest.raises(RunError, match="it has 1 callbacks, and this search has 0"):
        fit(searcher(), epochs=1, run_dir=tmp_path / "run", resume=True)


def test_state_that_could_not_be_resumed_is_told_before_step_one(tmp_path):
    class Best(Told):
        def state_dict(self):
            return {"best": np.float64(0.5)}

    told = Best()
    with pytest.raises(InputError, match=r"got numpy\.float64 at \['callbacks'\]\[0\]\['best'\]"):
        fit(searcher(callbacks=[told]), run_dir=tmp_path / "run")
    assert told.told == ["begin", "close"]
    with pytest.raises(InputError, match=r"numpy\.float64 at \['trainer'\]\['optimizer'\].*\['lr'\]"):
        fit(
            searcher(optimizer=lambda weights: torch.optim.SGD(weights, lr=np.float64(0.1))),
            run_dir=tmp_path / "other",
        )


def test_what_is_no_callback_is_refused():
    with pytest.raises(
        InputError, match=r"callbacks: expected objects of classes derived from asng\.search\.C"
    ):
        searcher(two_layers(), callbacks=[print])
