"""tools/readability.py finds sentences that are too long; pages, docstrings and messages have none."""

import pytest

from tools import readability

LONG = " ".join(["word"] * 36)
SHORT = " ".join(["word"] * 35)


@pytest.mark.parametrize("page", readability.PAGES, ids=lambda page: page.stem)
def test_no_sentence_of_a_page_is_too_long(page):
    assert readability.too_long(readability.sentences(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", readability.PAGES, ids=lambda page: page.stem)
def test_a_page_has_one_subject(page):
    sentences = readability.sentences(page.read_text(encoding="utf-8"))
    if page.parent.name != "design":
        assert sum(sentence.words for sentence in sentences) <= readability.LONGEST_PAGE


def test_no_sentence_of_an_error_is_too_long():
    found = {path: readability.messages(path.read_text(encoding="utf-8")) for path in sources()}
    assert sum(map(len, found.values())) > 300
    assert {path: long for path, one in found.items() if (long := readability.too_long(one))} == {}


def test_no_sentence_of_a_docstring_is_too_long():
    found = {path: readability.docstrings(path.read_text(encoding="utf-8")) for path in sources()}
    assert sum(map(len, found.values())) > 5_000
    assert {path: long for path, one in found.items() if (long := readability.too_long(one))} == {}


def sources():
    return sorted(readability.SOURCES.rglob("*.py"))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (f"{LONG}.", [36]),
        (f"{LONG}", [36]),
        (f"{SHORT}. {SHORT.title()}!", [35, 35]),
        (f"word\n{SHORT}.", [36]),
        (f"word\n\n{SHORT}.", [1, 35]),
        (f"# word\n{SHORT}.", [1, 35]),
        (f"- word\n- {SHORT}.\n2. word", [1, 35, 1]),
        (f"word\n```python\n{LONG}\n```\n{SHORT}.", [1, 35]),
        (f"word\n| {LONG} |\n{SHORT}.", [1, 35]),
        (f"word <!--{LONG}--> word, `{LONG}` [word word](page.md#word word) - +.", [5]),
        ("As Suganuma et al. (2018) say, 0.5 is enough.", [9]),
        (f"{SHORT}\n36<!--figure-->. Word.", [36, 1]),
        ("One. `two` is two. (Three is three.) 4 is four.", [1, 3, 3, 3]),
    ],
)
def test_words_are_counted_by_sentence(page, words):
    assert [sentence.words for sentence in readability.sentences(page)] == words


def test_a_sentence_has_the_line_that_it_begins_on():
    found = readability.sentences("# Title\n\nOne is one. Two\nis two.\nThree is\nthree.\n")
    assert [(one.line, one.text) for one in found][1:] == [
        (3, "One is one."),
        (3, "Two is two."),
        (5, "Three is three."),
    ]


DOCSTRING = """def f(a):
    \"\"\"Do it. Then stop
    at once.

        y = f(x) + g(x)

    Args:
        a: Word of the first. Then
            more of it.
        **more: Word.

    Raises:
        ValueError: Word word.

    Example:
        >>> f(1)
        1 2 3

    References:
        Word word word.
    \"\"\"
"""


def test_a_docstring_is_prose_and_each_argument_has_sentences_of_its_own():
    found = [(one.line, one.text) for one in readability.docstrings(DOCSTRING)]
    assert found == [
        (2, "Do it."),
        (2, "Then stop at once."),
        (8, "Word of the first."),
        (8, "Then more of it."),
        (10, "Word."),
        (13, "Word word."),
    ]


def test_a_message_is_all_that_an_error_says():
    code = f'def f(a):\n    raise ValueError(f"{{a}}: {SHORT}" + " word. Word.")\n'
    assert [(one.line, one.words) for one in readability.messages(code)] == [(2, 37), (2, 1)]
    assert readability.messages("raise") == []


def test_the_command_line_prints_where_and_fails(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{LONG}.\n")
    assert readability.main([str(page)]) == 1
    assert f"{page}:3: 36: word" in capsys.readouterr().out
    page.write_text(f"# Title\n\n{SHORT}.\n")
    assert readability.main([str(page)]) == 0
