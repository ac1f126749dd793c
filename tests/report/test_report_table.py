import io
import json
import re

import pytest
from rich.console import Console
from run_folders import result, write_json, write_seeds_run, write_seeds_run_of_two_scores, write_small_run

from asng.errors import RunError
from asng.report import summary_table


def printed(folder):
    console = Console(file=io.StringIO(), width=120)
    console.print(summary_table(folder))
    return console.file.getvalue()


def test_a_table_has_found_random_gain_parameters_and_time(tmp_path):
    text = printed(write_small_run(tmp_path / "run"))
    for word in ("0.861", "0.712", "0.841 +- 0.010", "+0.020", "1 of 5", "41,234", "13 min 32 s", "20.1 s"):
        assert word in text


def test_a_loss_of_the_search_is_a_negative_gain(tmp_path):
    folder = write_small_run(tmp_path / "run")
    write_json(folder / "result.json", result(0.80))
    text = printed(folder)
    assert "-0.041" in text
    assert "NOT" in text


def test_a_tie_is_told_in_the_table(tmp_path):
    folder = write_small_run(tmp_path / "run")
    write_json(folder / "result.json", result(0.1, (0.1,) * 9))
    lines = printed(folder).splitlines()
    assert any(re.search(r"gain +│ +0 \(a tie\) │", line) for line in lines)
    assert any(re.search(r"rank +│ +tied first of 10 │", line) for line in lines)


def test_a_table_is_made_of_what_is_there(tmp_path):
    folder = write_small_run(tmp_path / "run")
    (folder / "result.json").unlink()
    text = printed(folder)
    assert "not known" in text.replace("\n", " ")
    assert "14.0 s" in text  # by the log: 40 steps of 0.35 s


def test_the_time_of_a_search_includes_its_final(tmp_path):
    folder = write_small_run(tmp_path / "run")
    (folder / "result.json").unlink()
    *earlier, end = (folder / "log.jsonl").read_text().splitlines()
    finalist = {"event": "finalist", "number": 1, "road": "theta", "architecture": {}, "shared": 0.5}
    lines = [*earlier, json.dumps(finalist | {"alone": 0.6, "seconds": 75.0})]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    assert "1 min 15 s" in printed(folder)
    lines.append(json.dumps(json.loads(end) | {"seconds": 80.0}))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    assert "1 min 20 s" in printed(folder)


def test_several_seeds_are_rows_with_their_mean(tmp_path):
    text = printed(write_seeds_run(tmp_path / "runs"))
    assert "0.853 +- 0.010" in text
    assert "mean +- sd" in text


def test_several_seeds_show_every_score_found_and_random(tmp_path):
    lines = printed(write_seeds_run_of_two_scores(tmp_path / "runs")).splitlines()
    words = [
        [word.strip() for word in re.split("[┃│]", line)[1:-1]] for line in lines if re.search("[┃│]", line)
    ]
    assert words[0][5:] == ["found (SSIM)", "random (SSIM)"]
    assert words[1][5:] == ["0.610", "0.410 +- 0.050"]
    assert words[3][5:] == ["-", "-"]
    assert words[4][5:] == ["0.630 +- 0.028", "0.430 +- 0.028"]  # over the seeds that have it


def test_a_run_shows_every_score_of_its_peers(tmp_path):
    folder = write_small_run(tmp_path / "run")
    data = result()
    for network, ssim in zip([data["found"], *data["random"]], (0.6, 0.4, 0.5, 0.3, 0.4), strict=True):
        network["others"] = {"SSIM": ssim}
    write_json(folder / "result.json", data)
    text = printed(folder)
    assert re.search(r"found \(SSIM\) +│ +0\.600", text)
    assert re.search(r"random \(SSIM\) +│ +0\.400 \+- 0\.082", text)


def test_square_brackets_in_a_name_are_no_markup(tmp_path):
    folder = write_small_run(tmp_path / "run[bold]")
    data = json.loads((folder / "result.json").read_text())
    write_json(folder / "result.json", data | {"metric": "acc[/red]"})
    text = printed(folder)
    assert "run[bold]" in text
    assert "acc[/red]" in text


def test_a_table_of_no_run_is_an_error(tmp_path):
    with pytest.raises(RunError, match="expected a run folder"):
        summary_table(tmp_path)


def test_further_scores_that_are_not_finite_are_left_out_of_the_mean(tmp_path):
    networks = [
        {"score": 0.8, "parameters": 1, "seconds": 1.0, "architecture": {}, "others": {"ssim": value}}
        for value in (float("inf"), 0.25, 0.5)
    ]
    found = {"score": 0.9, "others": {"ssim": 0.5}}
    write_json(tmp_path / "result.json", {"metric": "psnr", "found": found, "random": networks})
    assert "0.375 +- 0.177" in " ".join(printed(tmp_path).split())


def test_a_table_has_worth_cost_and_baseline(tmp_path):
    folder = write_small_run(tmp_path / "run")
    write_json(folder / "result.json", result(baseline={"score": 0.85}))
    text = " ".join(printed(folder).split())
    assert "worth in random networks │ 9.5 (1.8 to 1,800) " in text
    assert "cost of the search │ 40 trainings" in text
    assert "your baseline │ 0.850" in text
    assert "gain over it │ +0.011" in text


def test_several_seeds_have_columns_of_worth_cost_and_baseline_if_known(tmp_path):
    folder = write_seeds_run(tmp_path / "runs")
    assert "worth" not in printed(folder)
    summary = json.loads((folder / "summary.json").read_text())
    # By rank alone: 2 of the first seed, 0.5 of the second; the third has none.
    for seed, peers in zip(summary["seeds"], ([0.7, 0.8], [0.7, 0.9], []), strict=True):
        seed.update(peers=peers, baseline=0.85 if peers else None, trainings=4.0 if peers else None)
    write_json(folder / "summary.json", summary)
    lines = [re.split("[┃│]", line) for line in printed(folder).splitlines() if re.search("[┃│]", line)]
    columns = [[word.strip() for word in words[-4:-1]] for words in lines]
    assert columns == [
        ["worth", "cost", "baseline"],
        ["2", "4", "0.850"],
        ["0.5", "4", "0.850"],
        ["-", "-", "-"],
        ["1", "4", "0.850 +- 0"],
    ]
