import pytest
from cifar_files import write_list
from hypothesis import given
from hypothesis import strategies as st

from asng.data.readers.checksums import Checksums
from asng.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a b.bin").write_bytes(b"first")
    (tmp_path / "in" / "c.bin").write_bytes(b"second")
    return tmp_path


LISTS = [("SHA256SUMS", "sha256"), ("MD5SUMS", "md5"), ("md5sums.txt", "md5")]


@pytest.mark.parametrize(("name", "algorithm"), LISTS)
def test_a_list_passes_what_it_was_made_of_and_stops_what_was_changed(folder, name, algorithm):
    write_list(folder, name, algorithm)
    checksums = Checksums(folder)
    assert checksums
    checksums.check(folder / "a b.bin")
    checksums.check(folder / "in" / "c.bin")
    (folder / "in" / "c.bin").write_bytes(b"Second")
    with pytest.raises(InputError, match=rf"c\.bin: expected {algorithm} .*, as {name} says, got"):
        checksums.check(folder / "in" / "c.bin")


def test_without_a_list_nothing_is_checked(folder):
    assert not Checksums(folder)
    Checksums(folder).check(folder / "a b.bin")


def test_each_of_two_lists_is_heeded(folder):
    write_list(folder, "MD5SUMS", "md5")
    write_list(folder)
    (folder / "MD5SUMS").write_text("0" * 32 + "  a b.bin\n")
    with pytest.raises(InputError, match="as MD5SUMS says"):
        Checksums(folder).check(folder / "a b.bin")
    Checksums(folder).check(folder / "in" / "c.bin")


def test_a_file_in_no_list_is_refused(folder):
    write_list(folder)
    (folder / "new.bin").write_bytes(b"third")
    with pytest.raises(InputError, match=r"expected a line for 'new\.bin' in SHA256SUMS .* got none"):
        Checksums(folder).check(folder / "new.bin")


def test_both_marks_of_a_line_comments_and_a_path_with_a_dot_are_read(folder):
    write_list(folder)
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    (folder / "SHA256SUMS").write_text(
        "\n".join(["# of today", "", lines[0].replace("  ", " *"), lines[1].replace("  ", "  ./")])
    )
    for name in ("a b.bin", "in/c.bin"):
        Checksums(folder).check(folder / name)


@pytest.mark.parametrize(
    "line", ["0" * 63 + "  a", "0" * 32 + "  a", "SHA256 (a) = " + "0" * 64, "0" * 64 + " a", "?"]
)
def test_a_line_of_another_form_is_named(folder, line):
    (folder / "SHA256SUMS").write_text("0" * 64 + "  b\n" + line)
    with pytest.raises(
        InputError, match=r"SHA256SUMS, line 2: expected 64 hexadecimal digits.*with sha256sum"
    ):
        Checksums(folder)


@given(st.binary(max_size=200))
def test_no_list_raises_anything_but_an_input_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "MD5SUMS").write_bytes(content)
    try:
        Checksums(folder)
    except InputError as error:
        assert "MD5SUMS" in str(error)  # noqa: PT017 - it need not raise


def test_a_file_that_is_gone_is_an_input_error(folder):
    write_list(folder)
    (folder / "a b.bin").unlink()
    with pytest.raises(InputError, match="expected a readable file"):
        Checksums(folder).check(folder / "a b.bin")
