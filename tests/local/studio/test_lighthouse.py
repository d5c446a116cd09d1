"""Studio's first page as Lighthouse sees it."""

from __future__ import annotations

from pathlib import Path

from tests.local.conftest import Stack
from tests.local.lighthouse import SCORE_MIN, lighthouse


def test_lighthouse_gives_the_page_for_signing_in_at_least_95(stack: Stack, tmp_path: Path) -> None:
    scores, reasons = lighthouse(f"{stack.base_url}/sign-in", tmp_path)
    assert min(scores.values()) >= SCORE_MIN, (scores, reasons)
