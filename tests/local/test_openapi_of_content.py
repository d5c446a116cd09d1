"""The stack conforms to its document: the half of the operations that test_openapi.py leaves out."""

from __future__ import annotations

from pathlib import Path

from tests.local.conftest import Stack
from tests.local.fuzzing import CONTENT_TAGS, find_violations


def test_schemathesis_finds_no_violation(stack: Stack, tmp_path: Path) -> None:
    find_violations(stack, tmp_path, [f"--include-tag={each}" for each in CONTENT_TAGS])
