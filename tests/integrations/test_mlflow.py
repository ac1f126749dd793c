"""A search in MLflow, in a database of its own."""

import pytest
from problems import fit, searcher, stopping

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")

from mlflow import MlflowClient

from asng.integrations.mlflow import MlflowCallback

# Of MLflow's about its own parts.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow", "ignore:::sqlalchemy", "ignore:::alembic")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db"  # takes seconds to be made


@pytest.fixture
def logger(uri, request):
    return MlflowCallback(request.node.name, tracking_uri=uri, name="first")


def the_run(uri, experiment):
    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return client, run


def steps(client, run, name):
    return [metric.step for metric in client.get_metric_history(run.info.run_id, name)]


def test_metrics_parameters_and_tags_are_there(uri, logger):
    result = fit(searcher(callbacks=[logger]), epochs=1)
    client, run = the_run(uri, logger.experiment)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert (run.data.params["steps"], run.data.params["lam_theta"]) == ("6", "2")
    assert result.architecture.to_json() in run.data.tags["architecture.found"]
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]
    assert steps(client, run, "theta/a/entropy") == [1, 2, 3, 4, 5, 6]
    assert run.data.metrics["result/steps"] == 6


def test_a_resumed_search_continues_its_run(uri, logger, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(searcher(loss=stopping(3), callbacks=[logger]), epochs=1, run_dir=tmp_path / "run")
    assert the_run(uri, logger.experiment)[1].info.status == "KILLED"
    again = MlflowCallback(logger.experiment, tracking_uri=uri)
    fit(searcher(callbacks=[again]), epochs=1, run_dir=tmp_path / "run", resume=True)
    client, run = the_run(uri, logger.experiment)
    assert run.info.status == "FINISHED"
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_run_that_fails_is_told_as_failed(uri, logger):
    calls = iter(range(2))
    with pytest.raises(StopIteration):
        fit(searcher(loss=lambda forward, batch: next(calls) + forward(batch[0]).sum(), callbacks=[logger]))
    assert the_run(uri, logger.experiment)[1].info.status == "FAILED"


def test_names_that_mlflow_refuses_are_written_in_another_spelling(uri, logger):
    logger.open(None, {}, 0)
    odd = {"theta/k=(3|5)/mean": 1.0, "theta//mean": 2.0, f"theta/{'a' * 300}/mean": 3.0, "train/loss": 4.0}
    logger.numbers(odd, 1)
    logger.shut("finished")
    metrics = the_run(uri, logger.experiment)[1].data.metrics
    assert sorted(metrics.values()) == [1.0, 2.0, 3.0, 4.0]
    assert {"theta/k__3_5_/mean", "theta/_/mean", "train/loss"} <= metrics.keys()
    assert all(name.endswith(("/mean", "/loss")) for name in metrics)
