"""What can be wrong with a file: with its bytes, with what is compressed in it, with values of its JSON."""

import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["Mutation", "bytes_of", "gzipped", "json_of", "lines_of", "tarred", "xzipped", "yaml_of", "zipped"]

Mutation = Callable[[bytes, random.Random], bytes]

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_INTRUDERS = (
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x00",
    b"\r",
    b"\n",
    b"\x1a",
    b"9" * 5_000,
    b"[" * 50_000,
)
_ZEROS = 300 * 2**20
"""What a bomb unpacks to, in bytes."""

_MARK = "the place of the intruder"
_VALUES = (
    *("null", "true", "-1", "0", "2.5", "1e308", "-1e308", "5e-324", "1e999", "NaN", "-Infinity", "Infinity"),
    *("1" + "0" * 400, "-1" + "0" * 400, "9" * 5_000, '""', '"x"', '"<script>"', '"\\ud800"', '"\\u0000"'),
    *(
        "[]",
        "{}",
        "[[]]",
        "[null]",
        '["a"]',
        "[1, 2",
        '{"": null}',
        '{"a": {"b": []}}',
        '"' + "a" * 50_000 + '"',
    ),
    *("[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, '{"type": []}', "[[1, 2], [3]]"),
)
_YAML_VALUES = (
    *(
        "!!python/object/apply:os.getcwd []",
        "!!python/name:os.system",
        "!!int ''",
        "!!float ''",
        "!!bool maybe",
    ),
    *("!!timestamp never", "!!binary '='", "!!null {}", "!!set [1]", "!!omap {a: 1}", "!!pairs 3", "*nobody"),
    *(
        "&a [*a]",
        "&a {b: *a}",
        "{<<: 3}",
        "{<<: [1]}",
        "{[1]: 2}",
        "{{}: 1}",
        "2001-99-99",
        "1:99:99",
        "%",
        "@x",
    ),
    *("&a {<<: *a}", "|2\n x", "0x", "0b", "!<>", "'", '"\\xZZ"', "!!str [1]", "!!map [1]", "!!seq {}"),
)


def bytes_of(content: bytes, rng: random.Random) -> bytes:
    """Cut, flip, set to extremes, swap, double, leave out, insert, or replace the whole."""
    where = [rng.randrange(len(content) + 1) for _ in range(4)]
    if rng.random() < 0.5:  # heads are where the formats are
        where = [place % 160 for place in where]
    a, b, c, d = sorted(where)
    size = rng.choice((1, 2, 4, 8))
    extreme = (rng.choice(_EXTREMES) % 256**size).to_bytes(size, rng.choice(("big", "little")))
    match rng.randrange(9):
        case 0:
            return content[: where[0]]
        case 1:
            return _flipped(content, rng)
        case 2:
            return content[:a] + extreme + content[a + size :]
        case 3:
            return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]
        case 4:
            return content[:b] + content[a:b] + content[b:]
        case 5:
            return content[:a] + content[b:]
        case 6:
            return content[:a] + rng.choice(_INTRUDERS) + content[a:]
        case 7:
            return content[:a] + rng.randbytes(b - a) + content[b:]
        case _:
            return rng.choice((b"", rng.randbytes(rng.randrange(200)), content * 2, content + b"\0" * size))


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 9) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def gzipped(content: bytes, rng: random.Random) -> bytes:
    """Change what is in a gzip file, and pack it anew; or a bomb, behind a whole head or not."""
    inside = gzip.decompress(content)
    if rng.random() < 0.02:
        return gzip.compress(inside[: rng.randrange(20)], 1) + _bomb("gzip")
    return gzip.compress(bytes_of(inside, rng), 1) if rng.random() < 0.6 else bytes_of(content, rng)


def xzipped(content: bytes, rng: random.Random) -> bytes:
    """As `gzipped`, in an xz file."""
    inside = lzma.decompress(content)
    if rng.random() < 0.02:
        return lzma.compress(inside[: rng.randrange(20)], preset=0) + _bomb("xz")
    return lzma.compress(bytes_of(inside, rng), preset=0) if rng.random() < 0.6 else bytes_of(content, rng)


@cache
def _bomb(kind: str) -> bytes:
    zeros = bytes(_ZEROS)
    match kind:
        case "gzip":
            return gzip.compress(zeros, 6)
        case "xz":
            return lzma.compress(zeros, preset=0)
        case _:
            return zlib.compress(zeros, 6)


def zipped(content: bytes, rng: random.Random) -> bytes:
    """Change a member of a zip archive, whose checksum then is right; or the archive; or add a bomb."""
    if rng.random() < 0.4:
        return bytes_of(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    names = list(members)
    # What the values are is in the pickle; the rest are numbers.
    name = next(n for n in names if n.endswith("data.pkl")) if rng.random() < 0.7 else rng.choice(names)
    how, packed = rng.random(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED if how > 0.98 else zipfile.ZIP_STORED) as archive:
        for member, inside in members.items():
            if member != name:
                archive.writestr(member, inside)
            elif how > 0.98:
                archive.writestr(member, bytes(_ZEROS))
            elif how > 0.9:
                archive.writestr(rng.choice((f"../{member}", f"/{member}", member.upper())), inside)
            elif how > 0.1:
                archive.writestr(member, bytes_of(inside, rng))
    return packed.getvalue()


def tarred(content: bytes, rng: random.Random) -> bytes:
    """Change a member of a gzipped tar archive, its name or its kind; or the archive."""
    if rng.random() < 0.4:
        return bytes_of(content, rng)
    if rng.random() < 0.3:
        return gzip.compress(bytes_of(gzip.decompress(content), rng), 1)
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as new,
    ):
        members = old.getmembers()
        chosen = rng.choice(members)
        for member in members:
            file = old.extractfile(member)
            inside = b"" if file is None else file.read()
            if member is chosen:
                inside = _other_member(member, inside, rng)
            member.size = len(inside)
            new.addfile(member, io.BytesIO(inside))
    return packed.getvalue()


def _other_member(member: tarfile.TarInfo, inside: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            member.name = rng.choice((f"../{member.name}", f"/{member.name}", member.name.upper()))
            return inside
        case 1:
            member.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE))
            member.linkname = "/etc/hostname"
            return b""
        case _:
            return bytes_of(inside, rng)


def json_of(content: bytes, rng: random.Random) -> bytes:
    """Replace or leave out a value of a JSON file, or change its bytes."""
    return bytes_of(content, rng) if rng.random() < 0.3 else _other_value(json.loads(content), rng)


def lines_of(content: bytes, rng: random.Random) -> bytes:
    """Change a line of a file of JSON lines, their order, or its bytes."""
    lines = content.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    match rng.randrange(10):
        case 0 | 1:
            return bytes_of(content, rng)
        case 2:
            return b"".join(rng.sample(lines, len(lines)))
        case 3:
            lines[place:place] = [rng.choice((b"\n", b"null\n", b"[]\n", b"{}\n", b'{"event": []}\n'))]
        case 4:
            lines[place] = bytes_of(lines[place], rng)
        case _:
            lines[place] = _other_value(json.loads(lines[place]), rng) + b"\n"
    return b"".join(lines)


def yaml_of(content: bytes, rng: random.Random) -> bytes:
    """Replace or leave out a value of a YAML file that is JSON as well, or change its bytes."""
    how = rng.random()
    if how < 0.02:  # each line names the one above it nine times
        lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]" for n in range(9)]
        return content[:1] + b"}\n" + "\n".join(lines).encode() if how < 0.005 else _laughing(content, lines)
    if how < 0.5:
        return json_of(content, rng)
    return _other_value(json.loads(content), rng, _YAML_VALUES)


def _laughing(content: bytes, lines: list[str]) -> bytes:
    heads = "\n".join(f"{name}: {json.dumps(value)}" for name, value in json.loads(content).items())
    return (heads + "\n" + "\n".join(lines)).encode()


def _other_value(data: Any, rng: random.Random, values: tuple[str, ...] = _VALUES) -> bytes:
    """Return the JSON of `data` with one value, at any depth, replaced or gone."""
    root = [data]
    parent, key = rng.choice(_places(root))
    if rng.random() < 0.15 and parent is not root:
        if isinstance(parent, dict) and rng.random() < 0.5:
            parent[f"{key}s"] = parent.pop(key)
        else:
            del parent[key]
        return json.dumps(root[0]).encode()
    # An old value of another place fits sometimes, and goes further for it.
    value = rng.choice(values) if rng.random() < 0.85 else json.dumps(_at(*rng.choice(_places(root))))
    parent[key] = _MARK
    return json.dumps(root[0]).replace(json.dumps(_MARK), value).encode("utf-8", "surrogatepass")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return owner and key of every value below this one."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


def _at(parent: Any, key: Any) -> Any:
    return parent[key]
