"""Ray: what Tune's searcher learns of trials, and calls on a cluster of processes."""

import json
import math
import runpy
import sys
from pathlib import Path

import pytest

import asng
from asng import Categorical, Integer, Space
from asng.errors import InputError, RunError

pytest.importorskip("ray")

from ray import tune

from asng.integrations.ray import ASNGSearch, RayExecutor

CONFIG = {
    "net": {"depth": tune.randint(1, 5), "act": tune.choice(["relu", None, (1, 2)])},
    "rate": tune.loguniform(1e-4, 1.0),
    "layers": [tune.uniform(-1.0, 1.0), 7],
    "epochs": 3,
}


def search_of(config=CONFIG, **given):
    search = ASNGSearch(metric="loss", mode="min", **given)
    assert search.set_search_properties(None, None, config)
    return search


def loss(config):
    return abs(config["net"]["depth"] - 2) + abs(math.log10(config["rate"]) + 2.0) + abs(config["layers"][0])


def searched(search, n, first=0, value=loss):
    configs = []
    for k in range(first, first + n):
        config = search.suggest(f"t{k}")
        search.on_trial_complete(f"t{k}", {"loss": value(config)})
        configs.append(config)
    return configs


def test_a_nested_config_has_values_of_its_domains():
    configs = searched(search_of(), 30)
    assert {config["net"]["depth"] for config in configs} <= {1, 2, 3, 4}
    assert {config["net"]["act"] for config in configs} == {"relu", None, (1, 2)}
    assert all(config["epochs"] == 3 and config["layers"][1] == 7 for config in configs)
    assert min(map(loss, configs)) < 0.3
    assert isinstance(CONFIG["rate"], tune.search.sample.Float)


@pytest.mark.parametrize(
    ("domain", "low", "high", "step"),
    [
        (tune.randint(2, 9), 2, 8, 1),
        (tune.lograndint(1, 64), 1, 63, 1),
        (tune.qrandint(3, 20, 4), 4, 20, 4),
        (tune.qrandint(3, 20, 1), 3, 19, 1),
        (tune.quniform(0.0, 1.0, 0.25), 0.0, 1.0, 0.25),
        (tune.qloguniform(0.1, 0.8, 0.1), 0.1, 0.8, 0.1),
        (tune.uniform(-2.0, 3.0), -2.0, 3.0, None),
        (tune.loguniform(0.01, 3.0), 0.01, 3.0, None),
    ],
)
def test_domains_have_the_values_that_tune_draws(domain, low, high, step):
    search = search_of({"x": domain})
    variable = search._optimizer.space["x"]
    assert (variable.low, variable.high, variable.step) == pytest.approx((low, high, step))
    assert variable.log == ("Log" in type(getattr(domain.sampler, "sampler", domain.sampler)).__name__)
    assert all(variable.contains(domain.sample()) for _ in range(100))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"x": tune.randn(0.0, 1.0)}, "'x'.: expected choice, or uniform"),
        ({"x": tune.sample_from(lambda: 3)}, "'x'.: expected choice, or uniform"),
        ({"x": tune.grid_search([1, 2])}, "grid search of x"),
        ({"x": 3}, "expected at least one domain"),
        ({"x": tune.choice([tune.uniform(0, 1), 2])}, "'x'.: expected choices that are values, got a domain"),
        ({"x": tune.choice([{"lr": tune.uniform(0, 1)}, 2])}, "'x'.: expected choices that are values, got"),
        (
            {"a/b": tune.uniform(0, 1), "a": {"b": tune.uniform(0, 1)}},
            "expected different names of domains, got 'a/b' twice",
        ),
    ],
)
def test_other_domains_are_refused(config, said):
    with pytest.raises(InputError, match=said):
        search_of(config)


def test_mode_max_searches_the_other_way():
    least, most = search_of(), ASNGSearch(metric="loss", mode="max")
    most.set_search_properties(None, None, CONFIG)
    assert searched(least, 16) == searched(most, 16, value=lambda config: -loss(config))


def test_a_space_with_conditions_may_be_given():
    kernel = Categorical(["linear", "poly"])
    space = Space({"kernel": kernel, "degree": Integer(1, 9, when={"kernel": "poly"})})
    search = ASNGSearch(space, metric="loss", mode="min")
    assert search.set_search_properties(None, None, {"epochs": 3})
    assert not search.set_search_properties(None, None, CONFIG)
    configs = searched(search, 14, value=lambda config: config.get("degree", 0))
    assert all(("degree" in config) == (config["kernel"] == "poly") for config in configs)


def test_failed_trials_rank_worst_and_those_without_a_result_say_nothing():
    search = search_of()
    for k in range(12):
        search.suggest(f"t{k}")
    for k in range(8):
        search.on_trial_complete(f"t{k}", {"loss": 1.0} if k % 2 else None, error=not k % 2)
    losses = search._optimizer._state.archive.losses
    assert sum(map(math.isinf, losses)) == 4
    search.on_trial_complete("t8", None)
    search.on_trial_complete("t9", {"other": 3.0})
    search.on_trial_complete("unknown", {"loss": 3.0})
    with pytest.raises(InputError, match="metric 'loss': expected a number, got 'low'"):
        search.on_trial_complete(search.suggest("t12") and "t12", {"loss": "low"})
    search.on_trial_complete(search.suggest("t13") and "t13", {"loss": None})
    assert search._optimizer._draws.waiting is None
    assert sorted(search._under_way) == ["t10", "t11"]


def test_late_trials_count():
    search = search_of()
    late = [f"late {k}" for k in range(4)]
    for name in late:
        search.suggest(name)
    searched(search, 30)
    before = search._optimizer._state.calls
    for name in late:
        search.on_trial_complete(name, {"loss": 1.0})
    assert search._optimizer._state.calls == before + 4


def test_no_trial_repeats_another_of_a_small_space():
    search = search_of({"a": tune.randint(0, 4), "b": tune.choice("xyz")})
    configs = searched(search, 12, value=lambda config: config["a"])
    assert len({tuple(config.values()) for config in configs}) >= 11


def test_a_saved_search_goes_on_as_if_it_had_not_stopped(tmp_path):
    search, path = search_of(), str(tmp_path / "searcher.json")
    searched(search, 20)
    search.suggest("open")
    search.save(path)
    before, after = ASNGSearch(metric="loss", mode="min"), search_of()
    before.restore(path)  # Tune may restore before it says what the space is
    before.set_search_properties(None, None, CONFIG)
    after.restore(path)
    for other in (before, after):
        other.on_trial_complete("open", {"loss": 2.0})
    assert searched(before, 8, 20) == searched(after, 8, 20)
    search.on_trial_complete("open", {"loss": 2.0})
    assert searched(search, 1, 20)[0].keys() == CONFIG.keys()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 7}', "no JSON"])
def test_what_is_no_state_is_refused(content, tmp_path):
    (tmp_path / "state").write_text(content)
    with pytest.raises(RunError, match="expected the state of an ASNGSearch"):
        search_of().restore(str(tmp_path / "state"))


@pytest.mark.parametrize("key", ["tried", "under_way"])
def test_a_state_that_lacks_a_part_is_refused(key, tmp_path):
    search, path = search_of(), tmp_path / "state"
    search.suggest("open")
    search.save(str(path))
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))
    with pytest.raises(RunError, match="expected the state of an ASNGSearch, got a damaged one"):
        search_of().restore(str(path))


def test_points_of_elsewhere_are_learnt_of():
    search = search_of({"net": {"depth": tune.randint(1, 5)}, "act": tune.choice(["a", "b"])})
    for depth in range(1, 5):
        search.add_evaluated_point({"net/depth": depth, "act": "b"}, abs(depth - 2.0))
        search.add_evaluated_point({"net/depth": depth, "act": "a"}, math.nan, error=True)
    assert dict(search._optimizer.best) == {"net/depth": 2, "act": 1}
    with pytest.raises(InputError, match=r"parameters\['act'\]: expected one of \['a', 'b'\], got 'z'"):
        search.add_evaluated_point({"net/depth": 1, "act": "z"}, 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "least"}, "mode: expected"),
        ({"metric": ["a", "b"]}, "metric: expected the name of one result"),
        ({"space": {}}, "space: expected an asng.Space"),
        ({"seed": -1}, "seed: expected"),
        ({"noisy": 1}, "noisy: expected"),
        ({"n_trials": 0}, "n_trials: expected"),
    ],
)
def test_arguments_of_a_search_are_checked(given, said):
    with pytest.raises(InputError, match=said):
        ASNGSearch(**given)


@pytest.mark.parametrize("given", [{"num_cpus": 0}, {"num_gpus": -1}, {"max_retries": -1}])
def test_arguments_of_an_executor_are_checked(given):
    with pytest.raises(InputError, match=f"{next(iter(given))}: expected"):
        RayExecutor(**given)


def test_suggesting_without_a_space_is_an_error():
    with pytest.raises(RuntimeError, match="search space"):
        ASNGSearch(metric="loss", mode="min").suggest("t")


def test_a_missing_package_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'asng\[ray\]'"):
        runpy.run_path(str(Path(asng.__file__).parent / "integrations" / "ray.py"))


@pytest.mark.parametrize("given", [{}, {"metric": "loss"}, {"mode": "min"}])
def test_a_search_that_could_learn_nothing_is_an_error(given):
    search = ASNGSearch(Space({"k": Integer(1, 9)}), **given)
    with pytest.raises(InputError, match="metric, mode: expected a name"):
        search.suggest("t")
