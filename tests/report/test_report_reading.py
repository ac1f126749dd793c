import pytest
from run_folders import result, write_json, write_seeds_run, write_small_run

from asng.errors import RunError
from asng.report import read_run
from asng.report.words import describe
from asng.space import Integer, Real


def test_a_whole_folder_is_read(tmp_path):
    run = read_run(write_small_run(tmp_path / "run"))
    assert run.config == {"search": {"lam": 2, "ripen": 0.5}, "seed": 0}
    assert run.architecture.keys() == {"op", "width", "drop"}
    assert (run.result.found.score, len(run.result.random)) == (0.861, 4)
    assert (run.graphs, run.summary) == ((), None)


@pytest.mark.parametrize("part", ["log.jsonl", "result.json", "architecture.json", "config.yaml"])
def test_every_part_may_be_missing(tmp_path, part):
    folder = write_small_run(tmp_path / "run")
    (folder / part).unlink()
    read_run(folder)


def test_the_seeds_of_a_summary_are_read(tmp_path):
    summary = read_run(write_seeds_run(tmp_path / "runs")).summary
    assert [(seed.seed, seed.found, seed.folder) for seed in summary.seeds] == [
        (0, 0.861, "seed-0"),
        (1, 0.842, "seed-1"),
        (2, 0.855, "seed-2"),
    ]


def test_a_missing_or_foreign_folder_is_an_error(tmp_path):
    with pytest.raises(RunError, match="expected a run folder, got no such folder"):
        read_run(tmp_path / "none")
    with pytest.raises(RunError, match="got none of them"):
        read_run(tmp_path)


@pytest.mark.parametrize("folder", ["..", ".", "a/b", "/tmp", "..\\x"])
def test_a_summary_cannot_point_out_of_its_folder(tmp_path, folder):
    write_json(tmp_path / "summary.json", {"seeds": [{"seed": 0, "folder": folder}]})
    with pytest.raises(
        RunError, match=r"folder: expected the name of a folder directly below, .* at `\$\.seeds\[0\]`"
    ):
        read_run(tmp_path)


def node(*names):
    return [{"id": name} for name in names]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("result.json", [], r"result\.json: expected `object`, got `array`"),
        ("result.json", result(found="high"), r"expected `float \| null`, got `str` - at `\$\.found\.score`"),
        (
            "result.json",
            result(higher_is_better="yes"),
            r"expected `bool`, got `str` - at `\$\.higher_is_better`",
        ),
        ("result.json", result(metric=3), r"expected `str`, got `int` - at `\$\.metric`"),
        ("result.json", {"random": [], "found": 1}, r"expected `object \| null`, got `int` - at `\$\.found`"),
        ("result.json", {"random": 7}, r"expected `array`, got `int` - at `\$\.random`"),
        (
            "result.json",
            {"\ud800": 1},
            r"result\.json: expected names of fields, got half of a surrogate pair",
        ),
        ("architecture.json", [], r"architecture\.json: expected `object`, got `array`"),
        ("graphs.json", {}, r"graphs\.json: expected `array`, got `object`"),
        (
            "graphs.json",
            [{"nodes": node("a"), "edges": [{"from": "a", "to": "b"}]}],
            r"the id of a node, got 'b' - at `\$\[0\]`",
        ),
        (
            "summary.json",
            {"seeds": [{"seed": "x"}]},
            r"expected `int`, got `str` - at `\$\.seeds\[0\]\.seed`",
        ),
        (
            "summary.json",
            {"seeds": [{"others": {"SSIM": {"found": "x"}}}]},
            r"expected `float \| null`, got `str` - at `\$\.seeds\[0\]\.others\[\.\.\.\]\.found`",
        ),
    ],
)
def test_a_file_of_another_form_is_an_error_with_its_place(tmp_path, file, content, message):
    write_json(tmp_path / "result.json", result())
    write_json(tmp_path / file, content)
    with pytest.raises(RunError, match=message):
        read_run(tmp_path)


def test_torn_json_is_an_error(tmp_path):
    (tmp_path / "result.json").write_text('{"metric": "acc')
    with pytest.raises(RunError, match=r"result\.json: expected JSON"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["a: [1", "- 1", "a: !!python/object/apply:os.getcwd []"])
def test_a_config_of_another_form_is_an_error_and_runs_nothing(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml: expected"):
        read_run(tmp_path)


def test_great_integers_are_described_to_the_last_digit():
    assert describe(Integer(1, 1_234_567)) == "integer in [1, 1234567]"
    assert describe(Real(-1e300, 0.5)) == "real in [-1e+300, 0.5]"
