"""What a sampler learns from the trials of a study, whoever made them."""

import copy
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from optuna_studies import optuna, quiet  # noqa: F401

import asng
from asng.errors import InputError
from asng.integrations.optuna import ASNGSampler

COMPLETE, FAIL, PRUNED, RUNNING = (
    getattr(optuna.trial.TrialState, name) for name in ("COMPLETE", "FAIL", "PRUNED", "RUNNING")
)


def study_of(sampler=None, **given):
    return optuna.create_study(sampler=sampler or ASNGSampler(seed=0), **given)


def bowl(trial):
    return (trial.suggest_float("x", -1.0, 1.0) - 0.3) ** 2 + (trial.suggest_int("k", 1, 9) - 4) ** 2


def params(study):
    return [trial.params for trial in study.trials]


def search_of(study):
    """Return what the sampler of a study knows now."""
    return study.sampler._up_to_date(study)


def test_integers_that_floats_cannot_tell_apart_are_searched_as_reals():
    def wide(trial):
        return trial.suggest_int("log", 1, 2**50, log=True) + trial.suggest_int("n", 4, 2**60, step=4) / 2**59

    study = study_of()
    study.optimize(wide, n_trials=12)
    assert all(type(one["log"]) is type(one["n"]) is int for one in params(study))
    assert all(1 <= one["log"] <= 2**50 and one["n"] % 4 == 0 and one["n"] <= 2**60 for one in params(study))


def test_finds_the_least_value():
    study = study_of()
    study.optimize(bowl, n_trials=40)
    assert study.best_params["k"] == 4
    assert abs(study.best_params["x"] - 0.3) < 0.02


def test_maximizes_what_it_minimizes_with_the_other_sign():
    least, most = study_of(), study_of(direction="maximize")
    least.optimize(bowl, n_trials=20)
    most.optimize(lambda trial: -bowl(trial), n_trials=20)
    assert params(least) == params(most)


def test_the_same_seed_gives_the_same_trials_and_another_others():
    studies = [study_of(ASNGSampler(seed=seed)) for seed in (3, 3, 4)]
    for study in studies:
        study.optimize(bowl, n_trials=14)
    assert params(studies[0]) == params(studies[1])
    assert params(studies[0]) != params(studies[2])


def test_samplers_of_the_same_seed_draw_different_points_of_one_study():
    study = study_of()
    study.optimize(bowl, n_trials=1)
    drawn = []
    for _ in range(8):
        study.sampler = ASNGSampler(seed=0)
        drawn.append(study.ask({"x": optuna.distributions.FloatDistribution(-1.0, 1.0)}).params["x"])
    assert len(set(drawn)) == 8


def test_reseeding_changes_what_is_drawn():
    studies = [study_of(), study_of()]
    studies[1].sampler.reseed_rng()
    for study in studies:
        study.optimize(bowl, n_trials=3)
    assert params(studies[0]) != params(studies[1])


def test_a_trial_counts_for_the_variables_that_it_has():
    def objective(trial):
        if trial.suggest_categorical("kernel", ["linear", "poly"]) == "linear":
            return 3.0
        return abs(trial.suggest_int("degree", 1, 9) - 4)

    study = study_of()
    study.optimize(objective, n_trials=20)
    search, archive = search_of(study), search_of(study).optimizer._state.archive
    kernel, degree = (list(search.distributions).index(name) for name in ("kernel", "degree"))
    assert archive.active[:, kernel].all()
    assert (archive.active[:, degree] == archive.x[:, kernel]).all()
    assert study.best_value == 0.0


def test_a_space_may_be_smaller_than_the_number_of_trials():
    study = study_of()
    study.optimize(lambda trial: float(trial.suggest_categorical("c", [0, 1])), n_trials=12)
    assert study.best_value == 0.0
    search = search_of(study)
    assert len(search._told) == 12
    assert len(search.optimizer._draws.waiting.losses) == 2  # repeats teach a model nothing


def test_a_variable_may_join_on_the_way():
    def objective(trial):
        value = trial.suggest_float("x", 0.0, 1.0)
        return value + (trial.suggest_float("y", 0.0, 1.0, log=False) if trial.number >= 12 else 1.0)

    study = study_of()
    study.optimize(objective, n_trials=40)
    assert sorted(search_of(study).distributions) == ["x", "y"]
    assert search_of(study).optimizer._state.calls >= 39
    assert study.best_value < 0.1


def test_ranges_may_move():
    def objective(trial):
        low = trial.number // 10
        return trial.suggest_float("x", low, low + 2.0) + trial.suggest_int("n", 2 * low, 2 * low + 8, step=2)

    study = study_of()
    study.optimize(objective, n_trials=30)
    known = search_of(study).distributions
    assert (known["x"].low, known["x"].high) == (0.0, 4.0)
    assert (known["n"].low, known["n"].high, known["n"].step) == (0, 12, 2)
    last = study.trials[-5:]
    assert all(trial.params["x"] < 2.5 and trial.params["n"] == 4 for trial in last)


def test_a_range_that_is_narrower_now_has_the_nearest_value():
    study = study_of()
    study.optimize(lambda trial: -trial.suggest_float("x", 0.0, 10.0), n_trials=20)
    study.optimize(lambda trial: -trial.suggest_float("x", 0.0, 5.0), n_trials=6)
    assert [trial.params["x"] for trial in study.trials[20:]].count(5.0) >= 3


def test_choices_keep_their_types():
    study = study_of()
    study.optimize(lambda trial: trial.suggest_categorical("c", ["a", True, 2.5, None]) is None, n_trials=12)
    assert {type(trial.params["c"]) for trial in study.trials} == {str, bool, float, type(None)}


def test_integers_and_reals_keep_to_steps_and_logarithms():
    def objective(trial):
        values = (
            trial.suggest_int("i", 3, 11, step=4),
            trial.suggest_int("w", 1, 1024, log=True),
            trial.suggest_float("f", 0.1, 0.9, step=0.2),
            trial.suggest_float("r", 1e-6, 1.0, log=True),
        )
        assert values[0] in (3, 7, 11)
        assert values[2] in (0.1, 0.3, 0.5, 0.7, 0.9)
        return math.log(values[1]) + abs(math.log10(values[3]) + 3.0) + values[0] + values[2]

    study = study_of()
    study.optimize(objective, n_trials=60)
    assert (study.best_params["i"], study.best_params["w"], study.best_params["f"]) == (3, 1, 0.1)
    assert abs(math.log10(study.best_params["r"]) + 3.0) < 0.3


@pytest.mark.parametrize("how", ["constraints_func", "set_constraint"])
def test_what_keeps_the_constraints_ranks_first(how):
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        over = 0.6 - x
        if how == "set_constraint":
            trial.set_constraint("least", over)
        trial.set_user_attr("over", over)
        return x + y

    func = (lambda trial: [trial.user_attrs["over"]]) if how == "constraints_func" else None
    study = study_of(ASNGSampler(seed=0, constraints_func=func))
    study.optimize(objective, n_trials=45)
    kept = [trial.value for trial in study.trials if trial.params["x"] >= 0.6]
    assert len(kept) > 20
    assert min(kept) < 0.64


def test_a_trial_without_constraints_breaks_those_that_there_are():
    study = study_of()
    study.optimize(bowl, n_trials=2)
    study.sampler = ASNGSampler(seed=0, constraints_func=lambda trial: [0.0])
    study.optimize(bowl, n_trials=8)
    worst = search_of(study).optimizer._state.archive.losses[:, 1]
    assert np.isinf(worst[:2]).all()
    assert (worst[2:] == 0.0).all()


def test_a_trial_whose_list_of_constraints_is_empty_keeps_them():
    def limits(trial):  # only some branches have a limit
        return [1.0] if trial.params["k"] > 4 else []

    study = study_of(ASNGSampler(seed=0, constraints_func=limits))
    study.optimize(bowl, n_trials=8)
    rows = dict(search_of(study).optimizer._state.archive.losses.tolist())
    assert rows == {trial.value: float(trial.params["k"] > 4) for trial in study.trials}
    assert len(rows) == 8


@pytest.mark.parametrize("returned", [[math.nan], 1.0, None, ["a"]])
def test_constraints_that_are_no_numbers_are_an_error(returned):
    study = study_of(ASNGSampler(seed=0, constraints_func=lambda trial: returned))
    with pytest.raises(ValueError, match="constraints_func: expected a list of numbers, got"):
        study.optimize(bowl, n_trials=1)


def test_steps_that_floats_cannot_tell_apart_are_searched_as_reals():
    def fine(trial):
        return trial.suggest_float("x", 1e10, 1e10 + 1.0, step=1e-6) - 1e10 + trial.suggest_int("n", 1, 9)

    study = study_of()
    study.optimize(fine, n_trials=20)
    assert study.best_value < 1.1


@pytest.mark.filterwarnings("ignore:Fixed parameter")
@pytest.mark.parametrize("value", [math.inf, 50.0])
def test_an_enqueued_value_beyond_its_range_counts_as_the_end(value):
    study = study_of()
    study.enqueue_trial({"x": value})
    study.optimize(bowl, n_trials=9)
    assert search_of(study).optimizer._state.archive.x[:, 1].max() == 1.0


def test_an_objective_that_fails_ranks_worst_and_a_lost_process_says_nothing():
    def objective(trial):
        if trial.suggest_float("x", 0.0, 1.0) > 0.5:
            raise RuntimeError("out of memory")
        return -trial.params["x"]

    study = study_of()
    study.optimize(objective, n_trials=30, catch=RuntimeError)
    failed = sum(trial.state == FAIL for trial in study.trials)
    assert 0 < failed < 20
    losses = search_of(study).optimizer._state.archive.losses[:, 0]
    assert np.isnan(losses).sum() + sum(map(np.isinf, losses)) == failed
    lost = study.ask()
    study._storage.set_trial_state_values(lost._trial_id, state=FAIL)  # as for one without a heartbeat
    before = len(search_of(study)._told)
    study.optimize(objective, n_trials=1, catch=RuntimeError)
    assert len(search_of(study)._told) == before + 1


def test_a_pruned_trial_counts_by_what_it_reported_last():
    def objective(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.report(9.0, 0)
        trial.report(x + 2.0, 1)
        raise optuna.TrialPruned

    study = study_of()
    study.optimize(objective, n_trials=9)
    archive = search_of(study).optimizer._state.archive
    assert len(archive) >= 8
    assert archive.losses[:, 0] == pytest.approx(archive.x[:, 0] + 2.0)


def test_values_that_are_not_finite_rank_worst():
    study = study_of()
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0) or math.inf, n_trials=1)
    study.optimize(
        lambda trial: math.inf if trial.suggest_float("x", 0.0, 1.0) > 0.3 else trial.params["x"], n_trials=25
    )
    assert study.best_value < 0.05


def test_points_of_others_that_are_under_way_are_not_tried_again():
    study = study_of()
    study.optimize(lambda trial: trial.suggest_int("a", 0, 3) + trial.suggest_int("b", 0, 3), n_trials=9)
    tried = {tuple(trial.params.values()) for trial in study.trials}
    space = study.sampler.infer_relative_search_space(study, study.trials[0])
    asked = [tuple(study.ask(space).params.values()) for _ in range(16 - len(tried))]
    assert len(tried | set(asked)) == len(tried) + len(asked)


def test_another_sampler_comes_to_know_the_same_from_the_storage():
    study = study_of()
    study.optimize(bowl, n_trials=25)
    mine, another = search_of(study), ASNGSampler(seed=9)._up_to_date(study)
    assert mine.distributions == another.distributions
    mine, another = mine.optimizer._state, another.optimizer._state
    n = min(len(mine.archive), len(another.archive))
    assert n >= 23
    assert (mine.archive.x[:n] == another.archive.x[:n]).all()
    assert (mine.archive.losses[:n] == another.archive.losses[:n]).all()


def test_samplers_of_one_study_share_their_distribution():
    """Beyond the model what counts is theta: draws are noted with their densities, and all learn the same."""
    study = study_of()
    samplers = [ASNGSampler(seed=seed, n_trials=10_000) for seed in range(3)]
    objective = lambda trial: sum((trial.suggest_float(n, -1.0, 1.0) - 0.3) ** 2 for n in "abcd")  # noqa: E731
    for k in range(90):
        study.sampler = samplers[k % 3]
        study.optimize(objective, n_trials=1)
    thetas = [
        sampler._up_to_date(study).optimizer.theta.to_json()
        for sampler in (*samplers, ASNGSampler(n_trials=10_000))
    ]
    assert thetas[0] == thetas[1] == thetas[2] == thetas[3]
    assert {"x", "log_density"} == study.trials[-1].system_attrs["asng:drawn"].keys()
    assert study.best_value < 0.05


def test_late_draws_count_by_their_densities(monkeypatch):
    study, told = study_of(ASNGSampler(seed=0, n_trials=10_000)), []
    objective = lambda trial: trial.suggest_float("x", -1.0, 1.0) ** 2 + trial.suggest_float("y", -1.0, 1.0)  # noqa: E731
    study.optimize(objective, n_trials=20)
    optimizer = search_of(study).optimizer
    tell = optimizer.tell
    monkeypatch.setattr(optimizer, "tell", lambda *a, **given: (told.append(given), tell(*a, **given)))
    study.optimize(objective, n_trials=2)
    search_of(study)
    assert [given["log_densities"][0] for given in told] == [
        trial.system_attrs["asng:drawn"]["log_density"] for trial in study.trials[20:]
    ]


def test_several_objectives_have_a_front():
    def objective(trial):
        x, far = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        return x + far, (x - 1.0) ** 2 - far

    study = study_of(directions=["minimize", "maximize"])
    study.optimize(
        lambda trial: (objective(trial)[0], -objective(trial)[1] - 2 * trial.params["y"]), n_trials=40
    )
    ends = [trial.params["y"] for trial in study.trials[-20:]]
    assert np.mean(ends) < 0.25
    assert len(study.best_trials) > 5


def test_several_objectives_keep_constraints_and_failed_trials_count_as_worst():
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_user_attr("c", 0.6 - y)
        if x > 0.7:
            raise ValueError("too large")
        return x + y, (x - 1.0) ** 2 + y

    sampler = ASNGSampler(seed=0, constraints_func=lambda trial: [trial.user_attrs["c"]])
    study = study_of(sampler, directions=["minimize"] * 2)
    study.optimize(objective, n_trials=50, catch=ValueError)
    late = study.trials[-20:]
    assert (
        sum(trial.user_attrs["c"] <= 0.0 for trial in late) > 8
    )  # 40 % of the space, and the loss pulls away
    assert sum(trial.state.name == "FAIL" for trial in late) < 6  # 30 % of the space
    assert min(trial.params["y"] for trial in study.best_trials) < 0.65


def test_a_trial_may_be_enqueued_and_added():
    study = study_of()
    study.enqueue_trial({"x": 0.31, "k": 4})
    distributions = {
        "x": optuna.distributions.FloatDistribution(-1.0, 1.0),
        "k": optuna.distributions.IntDistribution(1, 9),
    }
    study.add_trial(optuna.create_trial(params={"x": 0.5, "k": 5}, distributions=distributions, value=1.04))
    study.optimize(bowl, n_trials=9)
    assert study.best_params == {"x": 0.31, "k": 4}
    assert search_of(study).optimizer._state.calls == 10


def test_threads_share_a_sampler():
    study = study_of()
    study.optimize(bowl, n_trials=24, n_jobs=3)
    assert len(study.trials) == 24
    assert study.best_params["k"] == 4


def test_a_sampler_travels_without_what_it_knows():
    study = study_of()
    study.optimize(bowl, n_trials=12)
    twin = copy.deepcopy(study.sampler)
    assert twin._search is None
    study.sampler = twin
    study.optimize(bowl, n_trials=4)
    assert len(search_of(study)._told) == 16


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": -1}, "seed: expected an integer >= 0"),
        ({"n_trials": 0}, "n_trials: expected an integer >= 1"),
        ({"noisy": 1}, "noisy: expected True or False"),
        ({"constraints_func": 3}, "constraints_func: expected a function"),
    ],
)
def test_arguments_are_checked(given, said):
    with pytest.raises(InputError, match=said):
        ASNGSampler(**given)


def test_a_missing_package_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "optuna"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'asng\[optuna\]'"):
        runpy.run_path(str(Path(asng.__file__).parent / "integrations" / "optuna.py"))
