"""Which failed tests get a second try, and that a test that fails twice fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.second_try import FAILED_MAX, may_try_again

ROOT = Path(__file__).parent.parent.parent
LOCAL, UNIT = "tests/local/test_stack.py::test_one", "tests/unit/test_ids.py::test_two"


@pytest.mark.parametrize(
    ("failed", "again"),
    [
        ([], False),
        ([LOCAL], True),
        (["tests/bench/test_generation_cost.py::test_three"], True),
        ([UNIT], False),
        ([LOCAL, UNIT], False),
        ([LOCAL] * FAILED_MAX, True),
        ([LOCAL] * (FAILED_MAX + 1), False),
    ],
)
def test_only_a_few_tests_of_the_whole_stack_get_a_second_try(failed: list[str], again: bool) -> None:
    assert may_try_again(failed) is again


@pytest.mark.parametrize(("second", "code"), [("pass", 0), ("assert False", 1)])
def test_a_test_that_fails_twice_fails(tmp_path: Path, second: str, code: int) -> None:
    """The first try writes the list of failures, as `make test` does; the second one decides."""
    (tmp_path / "tests/local").mkdir(parents=True)
    (tmp_path / "tests/conftest.py").write_text(
        "import os\nfrom pathlib import Path\nimport pytest\n" + _summary_hook()
    )
    test = tmp_path / "tests/local/test_slow.py"
    test.write_text("def test_it():\n    assert False\n")
    failed = tmp_path / "failed"
    environment = os.environ | {"FAILED_TESTS": str(failed), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "tests"]
    first = subprocess.run(pytest_run, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert first.returncode == 1
    assert failed.read_text() == "tests/local/test_slow.py::test_it\n"
    test.write_text(f"def test_it():\n    {second}\n")
    again = subprocess.run(
        [sys.executable, str(ROOT / "tests/second_try.py"), str(failed)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == code
    assert ("passed at the second try" in again.stdout) is (code == 0)


def _summary_hook() -> str:
    """The hook of our own conftest.py."""
    source = (ROOT / "tests/conftest.py").read_text()
    start = source.index("def pytest_terminal_summary")
    return source[start : source.index("\n\n\n", start)] + "\n"
