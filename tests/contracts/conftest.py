"""What the contract tests share, and the option --write-fallbacks: `pytest tests/contracts --write-fallbacks` generates
FALLBACKS.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contracts.cases import RunningProviders


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-fallbacks", action="store_true", help="write FALLBACKS.md instead of comparing it")


@pytest.fixture(scope="session")
def providers() -> Iterator[RunningProviders]:
    with ExitStack() as opened:
        yield RunningProviders(opened)
