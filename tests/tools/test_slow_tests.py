"""Which tests are left out as long, by what pytest says of their durations (tools/slow_tests.py)."""

from tools.slow_tests import long_tests


def line(seconds, test, part="call"):
    return f"{seconds:.2f}s {part:8} tests/{test}"


def test_all_cases_but_the_quickest_are_left_out_and_that_too_if_it_is_very_long():
    lines = [
        line(0.9, "test_a.py::test[1]"),
        line(0.7, "test_a.py::test[a b]"),
        line(0.1, "test_a.py::test[3]"),
    ]
    assert long_tests(lines) == ["tests/test_a.py::test[1]", "tests/test_a.py::test[a b]"]
    assert long_tests(lines[:2]) == ["tests/test_a.py::test[1]"]
    lines = [line(4.0, "test_a.py::test[1]"), line(3.0, "test_a.py::test[2]")]
    assert len(long_tests(lines)) == 2


def test_what_a_test_makes_and_leaves_counts_too():
    parts = [line(0.3, "test_a.py::test", part) for part in ("setup", "call", "teardown")]
    assert long_tests(parts) == ["tests/test_a.py::test"]
    assert long_tests(parts[:1]) == []


def test_the_code_of_documents_and_their_sentences_are_never_left_out():
    lines = [line(9.0, "test_documents.py::test[README]"), line(9.0, "test_readability.py::test")]
    assert long_tests([*lines, "9126 passed in 451.01s"]) == []
