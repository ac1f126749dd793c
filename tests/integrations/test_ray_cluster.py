"""A Ray cluster of several processes on this machine: trials, calls and trainings, some of them lost."""

import json
import os
import signal
import warnings
from dataclasses import replace

import pytest

from asng import Integer, Real, Space, minimize

pytest.importorskip("ray")

import ray
from ray import tune

from asng.integrations.ray import ASNGSearch, RayExecutor

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own
SPACE = Space({"x": Real(-1.0, 1.0), "k": Integer(1, 9)})


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


def test_tune_searches_and_goes_on_from_a_saved_state(cluster, tmp_path):
    def trainable(config):
        if config["k"] == 9:
            raise MemoryError("too wide")
        tune.report({"loss": (config["x"] - 0.3) ** 2 + (config["k"] - 4) ** 2})

    def fit(search, n):
        tuner = tune.Tuner(
            trainable,
            param_space={"x": tune.uniform(-1.0, 1.0), "k": tune.randint(1, 10), "epochs": 3},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", search_alg=search, num_samples=n, reuse_actors=True
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        )
        return tuner.fit()

    search = ASNGSearch(seed=1)
    results = fit(search, 10)
    ended = [result for result in results if result.error is None]
    assert len(ended) + results.num_errors == 10
    assert search._optimizer._state.calls >= 8
    search.save(str(tmp_path / "state"))
    further = ASNGSearch(seed=1)
    further.restore(str(tmp_path / "state"))
    fit(further, 4)
    assert further._optimizer._state.calls >= search._optimizer._state.calls + 2


def test_calls_of_minimize_are_tasks_and_a_lost_one_has_failed(cluster):
    def bowl(a):
        if a["k"] > 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return (a["x"] - 0.3) ** 2 + (a["k"] - 4) ** 2

    result = minimize(bowl, SPACE, 14, workers=RayExecutor(), on_error="worst")
    assert result.evaluated == 14
    assert all((one.architecture["k"] > 7) == (one.error is not None) for one in result.history)
    assert any("WorkerCrashed" in one.error for one in result.history if one.error)
    late = minimize(bowl, SPACE, 14, workers=RayExecutor(), on_error="worst", asynchronous=True)
    assert late.evaluated == 14
    assert RayExecutor()._max_workers == 2
    assert RayExecutor(num_cpus=2)._max_workers == 1


def test_found_network_and_peers_are_trained_as_tasks(cluster, tmp_path):
    pytest.importorskip("torch")
    from small_tasks import SMALL, small_cells

    from asng.pipeline import retrain_run, run_task
    from asng.tasks.classification import classification

    def scores():
        result = json.loads((folder / "result.json").read_text())
        return [network["score"] for network in (result["found"], *result["random"])]

    task, settings = classification(small_cells(tmp_path)), replace(SMALL, peers=2)
    folder = run_task(task, settings, tmp_path / "run", progress=False)
    before = scores()
    retrain_run(task, settings, folder, progress=False, executor=RayExecutor())
    assert scores() == pytest.approx(before, abs=0.05)
