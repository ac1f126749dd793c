"""The .ts reader, on small files that are written here."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asng.data import read_ts
from asng.errors import InputError

HEADER = """#A comment: with a colon
%another
@problemName Tiny
@timeStamps false
@univariate false

@dimensions 2
@equalLength false
@classLabel true low high
@data
"""


def write(folder, text):
    path = folder / "tiny.ts"
    path.write_text(text, encoding="utf-8")
    return path


def test_series_of_several_lengths_and_dimensions_are_read(tmp_path):
    data = read_ts(write(tmp_path, HEADER + "1,2.5,-3e2:4,5,6:high\n\n# between\n7:8:low\n"))
    assert data.name == "Tiny"
    assert data.classes == ("low", "high")
    assert data.labels.tolist() == [1, 0]
    assert torch.equal(data.series[0], torch.tensor([[1.0, 4.0], [2.5, 5.0], [-300.0, 6.0]]))
    assert torch.equal(data.series[1], torch.tensor([[7.0, 8.0]]))
    assert data.series[0].is_contiguous()


def test_header_is_read_in_any_case_and_with_any_blanks(tmp_path):
    data = read_ts(write(tmp_path, "@classlabel\tTRUE  b   a\n@DATA\n 1, 2 :a \r\n"))
    assert data.name == "tiny"
    assert data.classes == ("b", "a")
    assert data.series[0].tolist() == [[1.0], [2.0]]


def test_a_line_ends_where_an_editor_ends_it(tmp_path):
    text = HEADER.replace("another", "two\u2028three\x85four\x0c").replace("\n", "\r\n")
    assert len(read_ts(write(tmp_path, text + "1:2:low\r\n"))) == 1


@settings(max_examples=25)
@given(
    cases=st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6), min_size=1, max_size=5)
)
def test_what_is_written_is_what_is_read(tmp_path_factory, cases):
    lines = "".join(f"{','.join(map(repr, case))}:{','.join(map(repr, case))}:low\n" for case in cases)
    data = read_ts(write(tmp_path_factory.mktemp("ts"), HEADER + lines))
    assert [series[:, 0].tolist() for series in data.series] == cases
    assert all(torch.equal(series[:, 0], series[:, 1]) for series in data.series)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header that ends with @data, got none. Is the file cut short"),
        ("@classLabel true a\n", "expected a header that ends with @data, got none"),
        ("1,2:a\n", "line 1: expected the header, .* got '1,2:a'. Is it a file of another format"),
        ("@data\n1,2:a\n", "expected class labels, .* got none"),
        ("@classLabel false\n@data\n1,2\n", "expected class labels, .* got none"),
        ("@classLabel true\n@data\n1,2:a\n", "expected class labels, .* got none"),
        ("@targetLabel true\n@data\n1,2:0.5\n", "got @targetLabel, a regression"),
        ("@timeStamps true\n@classLabel true a\n@data\n(0,1):a\n", "without time stamps"),
        ("@classLabel true a b a\n@data\n1:a\n", "expected each class once in the header, got 'a' twice"),
        (HEADER, "expected at least one case after @data, got none"),
        (HEADER + "1,2:3,4\n", "line 11: expected dimensions, .* classes low, high, got '3,4' at the end"),
        (HEADER + "low\n", "line 11: expected dimensions, a colon and one of the classes"),
        (HEADER + "1:2:hihg\n", "line 11: .* Did you mean 'high'"),
        (HEADER + "1,2:low\n", r"line 11: expected 2 dimension\(s\), as the header says, got 1"),
        (HEADER + "1,2:3:low\n", "line 11: expected dimensions of one length, got lengths from 1 to 2"),
        (HEADER + "1:2:low\n1,x:3,4:low\n", "line 12, dimension 1: expected a finite number, got 'x'"),
        (HEADER + "1,2:3,?:low\n", r"line 11, dimension 2: .* got '\?'. It is a missing value: fill it in"),
        (HEADER + "1:inf:low\n", "line 11, dimension 2: expected a finite number, got 'inf'"),
        (HEADER + "1:1e300:low\n", "line 11, dimension 2: .* got '1e300'. It is too large for 32 bits"),
        (HEADER + "1_0:1:low\n", "line 11, dimension 1: expected a finite number, got '1_0'"),
        (HEADER + "1:\uff11:low\n", "line 11, dimension 2: expected a finite number, got '\uff11'"),
        (HEADER + "1,,2:1,2,3:low\n", "line 11, dimension 1: expected a finite number, got ''"),
        (
            HEADER.replace("@dimensions 2\n", "") + "1:2:low\n1:low\n",
            r"line 11: expected 2 dimension\(s\), as in the first case, got 1",
        ),
    ],
)
def test_faults_are_told_with_file_and_line(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"tiny\.ts.*{message}"):
        read_ts(write(tmp_path, text))


def test_of_a_thousand_classes_an_error_names_the_first(tmp_path):
    classes = " ".join(f"c{number}" for number in range(1000))
    with pytest.raises(
        InputError, match=r"one of the classes c0, c1, .*\.\.\., got 'zz' at the end"
    ) as caught:
        read_ts(write(tmp_path, f"@classLabel true {classes}\n@data\n1:zz\n"))
    assert len(str(caught.value)) < 1000


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(InputError, match=r"none\.ts: expected a \.ts file, got no such file"):
        read_ts(tmp_path / "none.ts")
    with pytest.raises(InputError, match=r"expected a readable \.ts file"):
        read_ts(tmp_path)
    (tmp_path / "bytes.ts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes\.ts: expected a readable \.ts file"):
        read_ts(tmp_path / "bytes.ts")


def test_a_number_of_dimensions_beyond_all_reason_is_none(tmp_path):
    file = tmp_path / "tiny.ts"
    file.write_text(f"@dimensions {'9' * 5_000}\n@classLabel true a\n@data\n1,2:a\n")
    assert read_ts(file).channels == 1


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    (tmp_path / "tiny.ts").write_text(
        "@problemName T\n@classLabel true a\n@data\n1,2:a\n", encoding="utf-8-sig"
    )
    assert read_ts(tmp_path / "tiny.ts").name == "T"
