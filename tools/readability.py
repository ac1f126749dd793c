"""Find sentences in pages, docstrings and error messages that are too long to read easily.

Run `python tools/readability.py`, or name the files to check. It prints `file:line: words: sentence` for each
such sentence, and exits with 1 if there is one. Only prose counts: code, tables, comments, link targets,
examples and references do not, and a name in backquotes is one word.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
SOURCES = ROOT / "src" / "asng"
LONGEST = 35
"""Most words of a sentence. 20 words are comfortable; after 40, a reader has forgotten the beginning."""
LONGEST_PAGE = 1300
"""Most words of a page, so that it has one subject. Records of decisions are looked up, and may be longer."""

FENCE = re.compile(r"^\s*```")
STARTS_ANEW = re.compile(r"^\s*([-*+] |\d+\. |#+ |>)")
COMMENT = re.compile(r"<!--.*?-->")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`[^`]+`")
END = re.compile(r"(?<=[.!?])[)*\"']*\s+(?=[\"'(*\[]*[A-Z`\d])")
SECTION = re.compile(r"^(Args|Attributes|Example|Examples|Raises|Returns|Yields|References):$")
UNREAD = ("Example", "Examples", "References")
ITEM = re.compile(r"^ {4}\*{0,2}\w[\w.]*( \([^)]*\))?: ")
NO_END = re.compile(r"\b(et al|e\.g|i\.e|vs|cf|Fig|Sec|Eq|No|approx)\.[)*\"']*$")


class Sentence(NamedTuple):
    """A sentence and the number of its first line."""

    line: int
    text: str

    @property
    def words(self) -> int:
        """Number of words; punctuation alone is no word."""
        return len(re.findall(r"\S*\w\S*", self.text))


def sentences(page: str) -> list[Sentence]:
    """Return the sentences of a page of Markdown."""
    return [sentence for paragraph in _paragraphs(page) for sentence in _split(paragraph)]


def _paragraphs(page: str) -> Iterator[list[tuple[int, str]]]:
    """Yield paragraphs, list items and headings as numbered lines, without code and comments."""
    paragraph: list[tuple[int, str]] = []
    code = False
    for number, line in enumerate(page.splitlines(), start=1):
        fence = FENCE.match(line)
        table = line.lstrip().startswith("|")
        if fence or code or table or not line.strip() or STARTS_ANEW.match(line):
            yield paragraph
            paragraph = []
        if fence:
            code = not code
        elif not code and not table and line.strip():
            plain = COMMENT.sub("", STARTS_ANEW.sub("", line))
            paragraph.append((number, LINK.sub(r"\1", CODE.sub("`code`", plain)).strip()))
            if line.startswith("#"):
                yield paragraph
                paragraph = []
    yield paragraph


def _split(paragraph: Sequence[tuple[int, str]]) -> Iterator[Sentence]:
    text = " ".join(line for _, line in paragraph)
    begins = [0]
    for end in END.finditer(text):
        if not NO_END.search(text[: end.start()]):
            begins.append(end.end())
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        if sentence := text[begin:end].strip():
            yield Sentence(_line_at(begin, paragraph), sentence)


def _line_at(place: int, paragraph: Sequence[tuple[int, str]]) -> int:
    for number, line in paragraph:
        if place <= len(line):
            return number
        place -= len(line) + 1
    return paragraph[-1][0]


def docstrings(source: str) -> list[Sentence]:
    """Return the sentences of all docstrings of a module, in Google style."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found: list[Sentence] = []
    for node in ast.walk(ast.parse(source)):
        text = ast.get_docstring(node, clean=False) if isinstance(node, documented) else None
        if text:
            first = node.body[0].lineno  # type: ignore[attr-defined]
            found += [one for paragraph in _of_docstring(text, first) for one in _split(paragraph)]
    return sorted(found, key=lambda sentence: sentence.line)


def _of_docstring(text: str, first: int) -> Iterator[list[tuple[int, str]]]:
    """Yield paragraphs and list items as numbered lines, without examples, references and code."""
    paragraph: list[tuple[int, str]] = []
    head, *rest = text.splitlines()
    lines = [head, *dedent("\n".join(rest)).split("\n")]
    section = ""
    for number, line in enumerate(lines, start=first):
        heading = SECTION.match(line)
        indented = len(line) - len(line.lstrip())
        section = heading[1] if heading else "" if line.strip() and not indented else section
        shown = section in UNREAD or line.lstrip().startswith((">>>", "|"))
        if heading or shown or not line.strip() or STARTS_ANEW.match(line) or (section and ITEM.match(line)):
            yield paragraph
            paragraph = []
        if not heading and not shown and line.strip() and (section or not indented or paragraph):
            plain = ITEM.sub("", line) if section else line
            paragraph.append((number, CODE.sub("`code`", STARTS_ANEW.sub("", plain)).strip()))
    yield paragraph


def messages(source: str) -> list[Sentence]:
    """Return the sentences of a module's errors: strings of `raise XError(...)`, each value one word."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            text = " ".join(_literal(argument) for argument in node.exc.args)
            found += _split([(node.lineno, text)])
    return sorted(found, key=lambda sentence: sentence.line)


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _literal(node.left) + _literal(node.right)
    return "value" if isinstance(node, ast.FormattedValue) else ""


def too_long(found: Sequence[Sentence], longest: int = LONGEST) -> list[Sentence]:
    """Return the sentences with more than `longest` words."""
    return [sentence for sentence in found if sentence.words > longest]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="pages and modules; all of them by default")
    files = parser.parse_args(arguments).files or [*PAGES, *sorted(SOURCES.rglob("*.py"))]
    count = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = [*docstrings(text), *messages(text)] if path.suffix == ".py" else sentences(text)
        for sentence in too_long(found):
            count += 1
            print(f"{path}:{sentence.line}: {sentence.words}: {sentence.text}")
    print(f"{count} sentences of more than {LONGEST} words.")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
