"""What a search tells any logger, and what becomes of errors of loggers."""

import math

import pytest
import torch
from problems import fit, mse, searcher, stopping

import asng
from asng.errors import InputError
from asng.integrations import loggers
from asng.integrations.loggers import SearchLogger


class Kept(SearchLogger):
    """Keeps what it is to write; fails where told to."""

    def __init__(self, fails=(), **settings):
        super().__init__(**settings)
        self.opened, self.values, self.texts, self.ends, self.fails = [], [], [], [], fails

    def open(self, run, config, step):
        self.opened.append((run, step, config))
        return run or "a name"

    def numbers(self, values, step):
        if step in self.fails:
            raise OSError("the line\nis dead.")
        self.values.append((step, values))

    def text(self, name, text, step):
        self.texts.append((step, name, text))

    def shut(self, status):
        self.ends.append(status)

    def steps_with(self, name):
        return [step for step, values in self.values if name in values]


def test_numbers_are_written_at_their_steps():
    kept = Kept()
    result = fit(searcher(callbacks=[kept]), epochs=1)
    assert kept.steps_with("train/loss") == [1, 2, 3, 4, 5, 6]
    assert kept.steps_with("train/learning_rate") == [1, 2, 3, 4, 5, 6]
    assert kept.steps_with("asng/objective") == [4, 5, 6]  # theta does not move before
    assert kept.steps_with("theta/a/max_probability") == [1, 2, 3, 4, 5, 6]
    assert kept.steps_with("result/steps") == [result.steps] == [6]
    assert all(math.isfinite(x) for _, values in kept.values for x in values.values())
    assert kept.ends == ["finished"]


def test_the_first_learning_rate_is_that_of_the_first_step():
    kept = Kept()
    fit(searcher(callbacks=[kept], optimizer=lambda p: torch.optim.SGD(p, lr=0.25)), epochs=1)
    assert kept.values[0][1]["train/learning_rate"] == 0.25


def test_theta_is_written_as_it_is():
    kept = Kept()
    search = searcher(callbacks=[kept])
    fit(search, epochs=1)
    values = {name: value for _, values in kept.values for name, value in values.items()}
    p = search.architecture_optimizer.theta["b"]
    assert values["theta/b/max_probability"] == pytest.approx(p.max())
    assert values["theta/b/entropy"] == pytest.approx(-(p * [math.log2(x) for x in p]).sum())
    assert kept.texts[-1][1:] == ("architecture/found", f"```json\n{kept_best(search)}\n```")


def kept_best(search):
    return search.architecture_optimizer.best.to_json()


def test_ordered_variables_are_written_in_their_own_units():
    kept, width = Kept(), asng.Integer(1, 64, log=True, label="width")
    net = torch.nn.Sequential(asng.nn.Linear(3, width), asng.nn.Linear(64, 1))
    fit(searcher(asng.nn.Supernet(net), callbacks=[kept]), epochs=1)
    first = next(values for _, values in kept.values if "theta/width/mean" in values)
    assert first["theta/width/mean"] == pytest.approx(8.0, rel=0.05)


def test_every_and_variables_say_what_is_written():
    kept = Kept(every=4, variables=["b"])
    fit(searcher(callbacks=[kept]), epochs=1)
    assert kept.steps_with("train/loss") == [4, 6]  # and the last
    assert kept.steps_with("theta/a/entropy") == []
    assert kept.steps_with("theta/b/entropy") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("variables", "got"), [(["b", "z"], "'z'"), ("ab", "'ab'")])
def test_variables_that_the_space_has_not_are_refused_before_the_first_step(variables, got):
    kept = Kept(variables=variables)
    with pytest.raises(InputError, match=f"variables: expected names of variables of the space, got {got}"):
        fit(searcher(callbacks=[kept]), epochs=1)
    assert kept.values == []


def test_every_is_checked():
    with pytest.raises(InputError, match="every: expected an integer >= 1, got 0"):
        Kept(every=0)


def test_finalists_are_a_table_and_the_score_is_that_of_the_found():
    kept = Kept()
    result = fit(searcher(final=0.5, finalists=2, callbacks=[kept]), epochs=40)
    table = [text for _, name, text in kept.texts if name == "finalists"][-1]
    assert table.count("\n") == 1 + len(result.finalists)
    (found,) = [one for one in result.finalists if one.architecture == result.architecture]
    assert kept.values[-1][1]["result/score"] == (found.alone if found.longer is None else found.longer)


def test_an_error_while_writing_is_told_once_and_the_search_goes_on(monkeypatch):
    monkeypatch.setattr(loggers, "_LEAST_REST", 0.0)
    monkeypatch.setattr(loggers, "_REST", 0.0)
    kept = Kept(fails=(2, 3))
    with pytest.warns(UserWarning, match=r"Kept: cannot write: OSError: the line is dead\. The se") as told:
        result = fit(searcher(callbacks=[kept]), epochs=1)
    assert len(told) == 1
    assert result.steps == 6
    assert kept.steps_with("train/loss") == [1, 4, 5, 6]


def test_nothing_is_tried_for_a_while_after_an_error_but_to_close():
    kept = Kept(fails=(2,))
    with pytest.warns(UserWarning, match="cannot write"):
        fit(searcher(callbacks=[kept]), epochs=1)
    assert kept.steps_with("train/loss") == [1]
    assert kept.ends == ["finished"]


class Closed(Kept):
    def open(self, run, config, step):
        raise OSError("no such server")


@pytest.mark.parametrize("kept_in", [None, "run"])
def test_a_run_that_cannot_be_opened_ends_the_search_at_its_beginning(kept_in, tmp_path):
    calls = []

    def counted(forward, batch):
        calls.append(torch.is_grad_enabled())
        return mse(forward, batch)

    with pytest.raises(OSError, match="no such server"):
        fit(searcher(loss=counted, callbacks=[Closed()]), run_dir=kept_in and tmp_path / kept_in)
    assert sum(calls) <= 1


def test_a_resumed_search_goes_on_with_its_run(tmp_path):
    first, second = Kept(), Kept()
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(3), callbacks=[first]), epochs=1, run_dir=tmp_path / "run")
    assert first.ends == ["interrupted"]
    fit(searcher(callbacks=[second]), epochs=1, run_dir=tmp_path / "run", resume=True)
    assert [(run, step) for run, step, _ in first.opened + second.opened] == [(None, 0), ("a name", 3)]
    assert second.steps_with("train/loss") == [4, 5, 6]
    assert second.ends == ["finished"]


def test_the_run_is_closed_as_failed_by_an_error():
    def wrong(forward, batch):
        raise ValueError("of the user")

    kept = Kept()
    calls = iter(range(100))
    with pytest.raises(ValueError, match="of the user"):
        fit(searcher(loss=lambda f, b: mse(f, b) if next(calls) < 2 else wrong(f, b), callbacks=[kept]))
    assert kept.ends == ["failed"]


def test_a_second_search_is_another_run():
    kept = Kept()
    search = searcher(callbacks=[kept])
    fit(search, epochs=1)
    fit(search, epochs=1)
    assert [run for run, _, _ in kept.opened] == [None, None]
    assert kept.ends == ["finished", "finished"]


def test_only_the_first_process_writes():
    class Second(Kept):
        def begin(self, loop):
            super().begin(loop)
            loop.comm.leads = False

    kept = Second()
    fit(searcher(callbacks=[kept]), epochs=1)
    assert (kept.opened, kept.values, kept.texts, kept.ends) == ([], [], [], [])
