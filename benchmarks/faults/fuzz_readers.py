"""Coverage-guided fuzzing of one reader, by Atheris (pip install atheris; not needed for anything else).

Run: python -m benchmarks.faults.fuzz_readers READER [-max_total_time=60 and other flags of libFuzzer]
READER is a name in tests/shared/malformed/readers.py. The run ends with the trace of a crash, of a hang of
over 2 s, or of an unclear error, and leaves the file in the current folder. Files worth keeping become tests.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

from asng import AsngError

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "shared"))

with atheris.instrument_imports(include=["asng", "yaml"], enable_loader_override=False):
    from malformed.judge import LIMIT, is_clear
    from malformed.readers import READERS


def main() -> None:
    name, *flags = sys.argv[1:]
    reader = READERS[name]
    home, corpus = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    reader.write(home)
    spoiled = home / next(iter(reader.mutations))
    (corpus / "whole").write_bytes(spoiled.read_bytes())

    def read(data: bytes) -> None:
        reader.write(home)
        spoiled.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(home)
        except AsngError as error:
            if not is_clear(str(error), home, spoiled):
                raise RuntimeError(f"unclear: {error}") from error

    atheris.Setup([sys.argv[0], f"-timeout={LIMIT:.0f}", "-rss_limit_mb=4096", *flags, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
