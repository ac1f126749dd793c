"""List the tests that take long, which `make test` skips like those marked slow.

    python -m pytest -m 'slow or not slow' -n 2 --durations=0 | python tools/slow_tests.py

Run this on an idle machine of two cores. Of a parametrised test, the quickest case stays, unless it is long
too. Tests of the code and the sentences of documents always stay, since every change may break them.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

LIST = Path(__file__).parents[1] / "tests" / "slow_tests.txt"
LONG, VERY_LONG = 0.4, 1.0
"""Seconds from which a test counts as long, and from which it is skipped even if it is the only case."""
ALWAYS = ("tests/test_documents.py", "tests/test_readability.py")
LINE = re.compile(r"\s*([\d.]+)s (?:call|setup|teardown)\s+(tests/\S+?\.py::.*?)\s*$")


def long_tests(lines: Iterable[str]) -> list[str]:
    """Return the long tests in the output of pytest with durations, in order.

    Example:
        >>> long_tests(["2.00s call tests/test_a.py::test_b[x]", "1.00s call tests/test_a.py::test_b[y]"])
        ['tests/test_a.py::test_b[x]']
    """
    seconds: dict[str, float] = defaultdict(float)
    for line in lines:
        if found := LINE.match(line):
            seconds[found[2]] += float(found[1])
    cases: dict[str, list[str]] = defaultdict(list)
    for test in seconds:
        cases[test.partition("[")[0]].append(test)
    found_long = []
    for tests in cases.values():
        quickest = min(tests, key=seconds.__getitem__)
        for test in tests:
            least = VERY_LONG if test == quickest and len(tests) > 1 else LONG
            if seconds[test] >= least and not test.startswith(ALWAYS):
                found_long.append(test)
    return sorted(found_long)


if __name__ == "__main__":
    tests = long_tests(sys.stdin)
    if not tests:
        raise SystemExit("no durations: expected the output of pytest with --durations=0.")
    LIST.write_text("".join(f"{test}\n" for test in tests))
    print(f"{LIST}: {len(tests)} tests")
