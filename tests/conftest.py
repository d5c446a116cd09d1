"""Fixtures that all suites share: an embedded AWS for this test process, and tables with fresh names.

Each xdist worker has its own emulator on a free loopback port. No test can reach a real AWS account: invalid
credentials are set before any client exists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import hypothesis
import pytest

from atelier.adapters.aws.clients import client, session
from tests.embedded_aws import Tables, clear_wiring_caches, create_tables
from tests.emulator_thread import emulator_thread

os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    POWERTOOLS_SERVICE_NAME="atelier",
    POWERTOOLS_METRICS_NAMESPACE="Atelier",
)
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

# No deadline for examples: how long one takes depends on the machine.
hypothesis.settings.register_profile("atelier", deadline=None)
hypothesis.settings.load_profile("atelier")


# xdist gives each file to one worker. The files that take longest come first; otherwise one worker would run the last
# of them alone while the others have nothing to do. Those of tests/local stand together, because one stack serves them,
# which ends with the last of them. Numbers: seconds of processor time, measured on 2026-11-29.
SLOW_FILES = (
    "crashes",  # 206 in four files
    "local/test_openapi",  # some 300 in two files
    "studio/test_every_page",  # 84
    "local/test_hard_deaths",  # 60
    "studio/test_library",  # 54
    "local/test_backups",  # 41
    "local/test_generated_clients",  # 40
    "local/test_deadline",  # 39
    "studio/test_create",  # 35
    "tests/local",
    "ledger_machine",  # 68
    "fallback_matrix",  # 35
    "layers",  # 31
    "bench/",
    "mutations",  # 19
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0]
        return next((place for place, part in enumerate(SLOW_FILES) if part in file), len(SLOW_FILES))

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Writes the ids of failed tests to the file that FAILED_TESTS names, for `tests/second_try.py`."""
    if file := os.environ.get("FAILED_TESTS"):
        reports = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
        Path(file).write_text("".join(f"{name}\n" for name in dict.fromkeys(report.nodeid for report in reports)))


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The endpoint URL of an embedded AWS that runs as long as this test process. Tests that use AWS take the fixture
    `tables`, or set AWS_ENDPOINT_URL to this URL themselves for their own duration."""
    clear_wiring_caches()
    with emulator_thread() as url:
        yield url


@pytest.fixture
def aws(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[botocore.session.Session]:
    """An SDK session on the emulator. While the test runs, the product's own clients use the emulator too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    clear_wiring_caches(clients=False)
    yield session()
    clear_wiring_caches(clients=False)


@pytest.fixture
def tables(aws: botocore.session.Session, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Fresh tables on the emulator, named in the environment as for a deployed function."""
    return create_tables(client("dynamodb"), monkeypatch)
