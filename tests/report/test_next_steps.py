import json

import pytest

from asng.report import read_run, write_report
from asng.report.next_steps import next_steps

NETWORK = {"score": 0.9, "parameters": 100, "seconds": 1.0, "architecture": {}}
OVER = {"event": "end", "reason": "finished", "step": 3}


def folder_of(path, *, config="", end=None, found=None, peers=(), child=False):
    path.mkdir(exist_ok=True)
    (path / "log.jsonl").write_text("" if end is None else json.dumps(end) + "\n")
    if config:
        (path / "config.yaml").write_text(config)
    random = [{**NETWORK, "score": score, "parameters": 90 + n} for n, score in enumerate(peers)]
    (path / "result.json").write_text(json.dumps({"metric": "accuracy", "found": found, "random": random}))
    if child:
        (path / "child.pt").write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"config": "task: user"}, "asng search --resume --run-dir "),
        ({"config": "task: inpainting"}, "asng inpaint --resume --run-dir "),
        ({}, "Pass resume=True to fit"),
        ({"end": OVER}, "--model package.module.Net --data package.module.loaders"),
        ({"config": "task: user", "end": OVER, "found": NETWORK}, "--peers 4"),
        ({"config": "task: user", "end": OVER, "found": NETWORK, "peers": [0.5, 0.5]}, "--epochs 50"),
        ({"config": "task: user", "end": OVER, "found": NETWORK, "peers": [0.5, 1.0]}, "may be chance"),
        ({"config": "task: user", "end": OVER, "found": NETWORK, "child": True}, "asng export "),
    ],
)
def test_a_report_says_what_can_be_done_next(tmp_path, made, expected):
    folder = folder_of(tmp_path / "a run's", **made)
    told = " ".join(f"{words} {command}" for words, command in next_steps(read_run(folder)))
    assert expected in told
    page = write_report(folder).read_text()
    assert "What next" in page
    if "asng " in told:  # the name of the folder, as a shell and a page need it
        assert "a run&#39;&#34;&#39;&#34;&#39;s" in page


def test_a_network_that_is_no_better_is_not_called_sure(tmp_path):
    sure = folder_of(tmp_path / "sure", config="task: user", end=OVER, found=NETWORK, peers=[0.5, 0.52])
    assert "chance" not in str(next_steps(read_run(sure)))


def test_scores_are_drawn_over_parameters_where_these_differ(tmp_path):
    made = {"config": "task: user", "end": OVER, "found": NETWORK}
    assert "trade" not in write_report(folder_of(tmp_path / "alone", **made)).read_text()
    page = write_report(folder_of(tmp_path / "beside", **made, peers=[0.5, 0.7])).read_text()
    assert "accuracy over the parameters" in page
    assert "found: 0.9, 100 parameters" in page
    assert "random: 0.7, 91 parameters" in page
