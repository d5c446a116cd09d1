"""Adds the option --write-fallbacks: `pytest tests/contracts --write-fallbacks` generates FALLBACKS.md."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-fallbacks", action="store_true", help="write FALLBACKS.md instead of comparing it")
