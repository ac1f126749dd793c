"""A hook of mkdocs and an extension of griffe that build the site; mkdocs.yml names them.

Pages link to files outside of docs/, such as examples, in the form that works in the repository. The site
copies these files, renders Markdown files as pages, and points the links there.
"""

import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md")
"""Outside of docs/, pages of the site as well."""

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages outside of docs/, and the files that pages lead to."""
    pages = [*DOCS.rglob("*.md"), *(ROOT / page for page in PAGES)]
    led = {(page.parent / link).resolve() for page in pages for link in LINK.findall(page.read_text("utf-8"))}
    for target in sorted({*led, *(ROOT / page for page in PAGES)}):
        if target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(DOCS):
            name = _name(target)
            files.append(File.generated(config, name, abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links of the repository into links of the site; reduce a fence's language to one word."""
    path = page.file.src_path
    home = (ROOT / path if path in PAGES else DOCS / path).parent

    def led(match: re.Match[str]) -> str:
        target = (home / match[1]).resolve()
        if not target.exists():
            return match[1]
        return "../" * path.count("/") + _name(target)

    return LINK.sub(led, markdown).replace("```python nni\n", "```python\n")


def _name(target: Path) -> str:
    """Return the path of a file of the repository in the site."""
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    name = target.relative_to(ROOT).as_posix()
    return name if name in PAGES else f"files/{name}"


class Reading(griffe.Extension):
    """`Example:` begins a section, and a class without __init__ has the arguments of __new__."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Name the section of examples as griffe does."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Show the arguments of __new__ if nothing else takes them."""
        if "__new__" in cls.members and "__init__" not in cls.members:
            cls.members["__init__"] = cls.members["__new__"]
