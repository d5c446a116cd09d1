"""`make test` gives a few failed tests of the whole stack a second try, alone and on a stack of their own.

Usage: python -m tests.second_try FILE, with the ids of the failed tests, one on each line. Returns 0 if all pass now.

Tests of tests/local and tests/bench start stacks and browsers while other tests keep both processors busy, and some
meet a limit of time there that they do not meet alone. All other tests fail at once: what they assert depends on no
time. A test that failed and then passed is named at the end, so that it is seen and mended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WHOLE_STACK = ("tests/local/", "tests/bench/")
FAILED_MAX = 4
"""More failures than this have a cause that is no coincidence."""


def may_try_again(failed: list[str]) -> bool:
    """Whether these tests get a second try."""
    return 0 < len(failed) <= FAILED_MAX and all(test.startswith(WHOLE_STACK) for test in failed)


def main(file: str) -> int:
    """Returns pytest's exit code of the second try; 1 when there is none."""
    failed = [line for line in Path(file).read_text().splitlines() if line]
    if not may_try_again(failed):
        return 1
    print(f"\n{len(failed)} failed beside the others; once more, alone:", *failed, sep="\n  ", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", *failed], check=False).returncode
    if code == 0:
        print("\npassed at the second try, to be looked at:", *failed, sep="\n  ", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
