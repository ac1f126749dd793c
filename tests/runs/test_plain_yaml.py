import pytest

from asng.errors import RunError
from asng.runs.config import read_yaml, write_yaml

LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]" for n in range(9))


def test_what_is_written_is_read_back(tmp_path):
    data = {"b": [1, 2.5, None, True, "x: y", "2001-01-01"], "a": {"ü": {}}}
    assert read_yaml(write_yaml(tmp_path / "c.yaml", data)) == data
    assert list(read_yaml(tmp_path / "c.yaml")) == ["b", "a"]


def test_a_value_that_occurs_twice_is_written_twice(tmp_path):
    both = [3]
    path = write_yaml(tmp_path / "c.yaml", {"a": both, "b": both})
    assert "&" not in path.read_text()
    assert read_yaml(path) == {"a": [3], "b": [3]}


@pytest.mark.parametrize("text", [LAUGHS, "a: &a [*a]", "&a {<<: *a}", "a: &a 1", "a: *a"])
def test_anchors_and_aliases_are_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RunError, match=r"c\.yaml: expected YAML of plain values, got (an anchor|a file)"):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        *("!!int ''", "!!float ''", "!!bool maybe", "!!timestamp never", "{<<: 3}", "{[1]: 2}", "2001-99-99"),
        *("a: !!python/object/apply:os.getcwd []", "'", "%", "a: b: c", "\x02", "!<>", "- ? [1"),
    ],
)
def test_what_the_loader_cannot_read_is_one_error_in_one_line(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(
        RunError, match=r"^.*c\.yaml: expected YAML of plain values, got a file that cannot be read: .*$"
    ):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize("text", ["0x" + "f" * 5000, "59" + ":59" * 3000, "-0b" + "1" * 20_000, "9" * 301])
def test_an_integer_that_python_cannot_write_down_is_refused(text, tmp_path):
    (tmp_path / "c.yaml").write_text(f"seed: {text}\nname: '{text}'")
    with pytest.raises(RunError, match=rf"cannot be read: an integer of {len(text)} letters\.$"):
        read_yaml(tmp_path / "c.yaml")
    for plain in (f"seed: {2**64}\nname: '{text}'", f"seed: 0x{'f' * 16}"):
        (tmp_path / "c.yaml").write_text(plain)
        assert read_yaml(tmp_path / "c.yaml")["seed"] in (2**64, 2**64 - 1)


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 65 + "}" * 65])
def test_a_deep_nest_is_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(
        RunError, match=r"got (more than 64 levels|a file that cannot be read: (?!maximum recursion))"
    ):
        read_yaml(tmp_path / "c.yaml")


def test_a_large_file_and_one_of_bytes_are_refused(tmp_path):
    (tmp_path / "c.yaml").write_text("a: 1\n" * 30_000)
    with pytest.raises(RunError, match="expected at most 131072 bytes, got 150000"):
        read_yaml(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_bytes(b"a: \xff")
    with pytest.raises(RunError, match="can't decode byte 0xff"):
        read_yaml(tmp_path / "c.yaml")
    with pytest.raises(RunError, match="expected a plain file, got a folder"):
        read_yaml(tmp_path)
