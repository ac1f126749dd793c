import json
from concurrent.futures import Executor, Future
from dataclasses import replace
from statistics import fmean, stdev

import pytest
import torch
from small_tasks import SMALL, small_cells

from asng.errors import InputError, RunError, SpaceError
from asng.pipeline import retrain_run, run_seeds, run_task
from asng.pipeline import train_alone as training
from asng.pipeline.retrain import read_architecture
from asng.report import read_run
from asng.tasks.classification import ClassificationSettings, classification
from asng.tasks.reopen import load_child, stored_run


@pytest.fixture
def task(tmp_path):
    return classification(small_cells(tmp_path))


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def weights_of(folder):
    return torch.nn.utils.parameters_to_vector(load_child(stored_run(folder), folder).parameters())


def without_times(result):
    networks = [result["found"], *result["random"]]
    return [(n["score"], n["parameters"], n["architecture"]) for n in networks], result["inherited"]


def test_the_road_leads_to_all_files(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "log.jsonl", "checkpoint.pt", "architecture.json", "child.pt"} <= names
    assert {"graphs.json", "result.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    result = result_of(folder)
    assert len(result["random"]) == SMALL.peers
    assert result["found"]["architecture"] == json.loads((folder / "architecture.json").read_text())
    assert read_run(folder).log.end.reason == "finished"


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(task, tmp_path):
    first, again = (run_task(task, SMALL, tmp_path / name, seed=3, progress=False) for name in ("a", "b"))
    other = run_task(task, SMALL, tmp_path / "c", seed=4, progress=False)
    assert without_times(result_of(first)) == without_times(result_of(again))
    assert without_times(result_of(first)) != without_times(result_of(other))


def test_the_saved_child_scores_what_the_result_says(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    stored = stored_run(folder)
    child = load_child(stored, folder)
    images, labels = next(iter(task.loaders(0).test))
    score = float((child(images).argmax(1) == labels).float().mean())
    assert score == pytest.approx(result_of(folder)["found"]["score"])
    assert not any(type(module).__module__.startswith("asng") for module in child.modules())


def test_an_earlier_run_is_not_overwritten_by_accident(task, tmp_path):
    folder = run_task(task, replace(SMALL, retrain_epochs=0), tmp_path / "run", progress=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=r"already contains a run.*--resume.*--overwrite"):
        run_task(task, SMALL, folder, progress=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_overwriting_leaves_nothing_of_the_earlier_run(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    (folder / "notes.txt").write_text("mine")
    run_task(task, replace(SMALL, retrain_epochs=0), folder, overwrite=True, progress=False)
    assert not (folder / "child.pt").exists()
    assert result_of(folder)["found"] is None
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_stopped_between_networks_goes_on_to_the_same_scores(task, tmp_path, monkeypatch):
    whole = run_task(task, SMALL, tmp_path / "whole", progress=False)
    left, real = 0, training.train

    def stopping(*args, **settings):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(training, "train", stopping)
    for part, networks in enumerate((0, 1, 1)):  # before the first, the second and the third
        left = networks
        with pytest.raises(KeyboardInterrupt):
            run_task(task, SMALL, tmp_path / "run", resume=part > 0, progress=False)
    monkeypatch.setattr(training, "train", real)
    resumed = run_task(task, SMALL, tmp_path / "run", resume=True, progress=False)
    assert without_times(result_of(resumed)) == without_times(result_of(whole))


def test_retraining_replaces_the_scores_and_keeps_the_architecture(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    before = (folder / "architecture.json").read_bytes()
    stored = stored_run(folder, network={"channels": 4})
    retrain_run(stored.task, replace(stored.settings, peers=1), folder, progress=False)
    assert (folder / "architecture.json").read_bytes() == before
    assert len(result_of(folder)["random"]) == 1
    assert load_child(stored_run(folder), folder)


def test_retraining_with_another_seed_compares_with_the_same_peers(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", seed=3, progress=False)
    results, weights = [result_of(folder)], [weights_of(folder)]
    for retrain_seed in (None, 7):
        retrain_run(task, replace(SMALL, retrain_seed=retrain_seed), folder, seed=3, progress=False)
        results.append(result_of(folder))
        weights.append(weights_of(folder))
    assert without_times(results[0]) == without_times(results[1])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    peers = [[peer["architecture"] for peer in result["random"]] for result in results]
    assert peers[0] == peers[2]
    assert stored_run(folder).seeds == [3]


def test_retraining_that_is_stopped_leaves_no_child_of_other_settings_and_goes_on(
    task, tmp_path, monkeypatch
):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    longer, real = replace(SMALL, retrain_epochs=2, retrain_seed=1), training.train

    def stopping(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        retrain_run(task, longer, folder, progress=False)
    assert not (folder / "child.pt").exists()
    monkeypatch.setattr(training, "train", real)
    stored = stored_run(folder)
    run_task(stored.task, stored.settings, folder, seed=0, resume=True, progress=False)
    resumed = without_times(result_of(folder))
    retrain_run(task, longer, folder, progress=False)
    assert without_times(result_of(folder)) == resumed


def test_retraining_an_unfinished_search_is_an_error(task, tmp_path):
    with pytest.raises(RunError, match="expected the result of a finished search"):
        retrain_run(task, SMALL, tmp_path / "nothing", progress=False)


def test_several_seeds_are_summed_up_with_mean_and_sd(task, tmp_path):
    folder = run_seeds(task, SMALL, tmp_path / "run", seeds=[0, 1], progress=False)
    summary = json.loads((folder / "summary.json").read_text())
    for row in summary["seeds"]:
        scores = torch.tensor([peer["score"] for peer in result_of(folder / row["folder"])["random"]])
        assert row["random_mean"] == pytest.approx(float(scores.mean()))
        assert row["random_sd"] == pytest.approx(float(scores.std()), abs=1e-6)
    assert [row["seed"] for row in summary["seeds"]] == [0, 1]


def confidence(forward, batch):
    """A score that no two networks share, unlike the accuracy of such small ones."""
    return float(forward(batch[0]).softmax(1).amax(1).mean())


def test_a_seed_that_is_retrained_is_summed_up_anew(task, tmp_path, monkeypatch):
    two = replace(task, others={"confidence": confidence})
    folder = run_seeds(two, SMALL, tmp_path / "run", seeds=[0, 1], progress=False)
    before = json.loads((folder / "summary.json").read_text())
    monkeypatch.chdir(folder / "seed-0")
    retrain_run(two, replace(SMALL, retrain_epochs=2, peers=3), ".", seed=0, progress=False)
    after, result = json.loads((folder / "summary.json").read_text()), result_of(folder / "seed-0")
    peers = [peer["others"]["confidence"] for peer in result["random"]]
    assert after["seeds"][0]["others"]["confidence"] == {
        "found": result["found"]["others"]["confidence"],
        "random_mean": pytest.approx(fmean(peers)),
        "random_sd": pytest.approx(stdev(peers)),
    }
    assert after["seeds"][0] != before["seeds"][0]
    assert after == {**before, "seeds": [after["seeds"][0], before["seeds"][1]]}


def test_a_damaged_summary_is_left_for_the_report_to_tell(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "seed-0", progress=False)
    for text in ("no JSON", "[1]", '{"seeds": {}}', '{"seeds": [1, {"seed": 0}]}'):
        (tmp_path / "summary.json").write_text(text)
        retrain_run(task, SMALL, folder, progress=False)
        assert (tmp_path / "summary.json").read_text() == text


def test_several_seeds_sum_up_every_score(task, tmp_path):
    two = replace(task, others={"confidence": confidence})
    folder = run_seeds(two, SMALL, tmp_path / "run", seeds=[0, 1], progress=False)
    for row in json.loads((folder / "summary.json").read_text())["seeds"]:
        result = result_of(folder / row["folder"])
        peers = torch.tensor([peer["others"]["confidence"] for peer in result["random"]])
        assert row["others"]["confidence"] == {
            "found": result["found"]["others"]["confidence"],
            "random_mean": pytest.approx(float(peers.mean())),
            "random_sd": pytest.approx(float(peers.std()), abs=1e-6),
        }


def test_the_search_halves_share_no_image(tmp_path):
    loaders = classification(ClassificationSettings()).loaders(0)
    first, second = loaders.search_train.dataset, loaders.search_valid.dataset
    assert len(first) == len(second) == 2_500
    sides = [{image.numpy().tobytes() for image in part[list(range(2_500))][0]} for part in (first, second)]
    assert not sides[0] & sides[1]


def test_a_device_that_is_not_here_is_an_error_and_nothing_is_written(task, tmp_path):
    with pytest.raises(InputError, match="device: expected auto, cpu or a device that is here, got 'gpu7'"):
        run_task(task, replace(SMALL, device="gpu7"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_loss_or_a_score_that_is_no_number_is_an_error_and_nothing_is_written(task, tmp_path):
    for part in ("loss", "score"):
        wrong = replace(task, **{part: lambda forward, batch: forward(batch[0])})
        with pytest.raises(InputError, match=r"expected one number from .*, got a tensor of shape \(8, 2\)"):
            run_task(wrong, SMALL, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_retraining_another_space_is_an_error_and_keeps_the_scores(task, tmp_path):
    folder = run_task(task, SMALL, tmp_path / "run", progress=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = stored_run(folder, network={"nodes": 2}).task
    with pytest.raises(SpaceError, match="node2"):
        retrain_run(other, SMALL, folder, progress=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "task: classificaton\n",
            "for one of the tasks 'classification', 'inpainting', 'user', got .* Did you mean",
        ),
        ("task: user\n", "network: expected the setting 'model', got none"),
        ("task: classification\nnetwork: 3\n", "network: expected settings by name, got 3"),
        ("task: classification\nsearch: {epoch: 3}\n", "unknown setting 'epoch'. Did you mean 'epochs'"),
        ("{torn", "expected YAML"),
        ("[1, 2]", "expected the settings of a run with a 'task'"),
    ],
)
def test_a_damaged_config_is_named(tmp_path, text, message):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=message):
        stored_run(tmp_path)


@pytest.mark.parametrize(
    "content", [b"[1", b"3", b"\xff", b"[" * 100_000, b'{"op": []}', b'{"op": {"a": 1}}']
)
def test_a_damaged_architecture_is_told_with_its_file(content, tmp_path):
    (tmp_path / "architecture.json").write_bytes(content)
    with pytest.raises(RunError, match=r"^.*architecture\.json: .*$"):
        read_architecture(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "seed: x",
            "seed: -1",
            "seed: [1]",
            "seeds: []",
            "seeds: 3",
            "seeds: [a]",
            "seeds: [true]",
            "seed: null",
        ),
        *("search: {epochs: x}", "search: {epochs: 0}", "search: {update: none}", "search: {warmup: [1]}"),
        *(
            "network: {cells: x}",
            "network: {cells: {a: 1}}",
            "search: {1: 2}",
            "search: {lam_theta: !!int ''}",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_told_with_its_file(line, tmp_path):
    (tmp_path / "config.yaml").write_text(f"task: classification\n{line}\n")
    with pytest.raises(RunError, match=r"^.*config\.yaml.*: .*$"):
        stored_run(tmp_path)


class OutOfOrder(Executor):
    """Has each call done by the time that the last one is given, the last one first."""

    def __init__(self, n):
        self.left, self.given = n, []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.given.append((future, lambda: fn(*args, **kwargs)))
        if len(self.given) == self.left:
            for done, call in reversed(self.given):
                done.set_result(call())
        return future


def test_an_executor_trains_the_same_networks(task, tmp_path):
    settings = replace(SMALL, peers=3)
    folder = run_task(task, settings, tmp_path / "run", seed=3, progress=False)
    before = result_of(folder), weights_of(folder)
    executor = OutOfOrder(4)
    retrain_run(task, settings, folder, seed=3, progress=False, executor=executor)
    assert len(executor.given) == 4
    assert without_times(result_of(folder)) == without_times(before[0])
    assert torch.equal(weights_of(folder), before[1])


def test_what_an_executor_has_trained_is_kept_when_another_training_fails(task, tmp_path):
    class Failing(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            if args[2] is not None and args[3] % 1000 == 1:
                future.set_exception(OSError("a machine was lost"))
            else:
                future.set_result(fn(*args, **kwargs))
            return future

    folder = run_task(task, replace(SMALL, peers=1), tmp_path / "run", progress=False)
    with pytest.raises(OSError, match="a machine was lost"):
        retrain_run(task, replace(SMALL, peers=1), folder, progress=False, executor=Failing())
    assert result_of(folder)["random"] == []
