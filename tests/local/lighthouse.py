"""Lighthouse, which measures a page in a real browser as a phone on a slow network would show it.

It needs Node.js, Chromium and `npm ci --prefix tests/judges`; without them a test is skipped with a message."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

from tests.lanes import need_browser, need_node, not_run
from tests.local.chromium import chromium

PROGRAM = Path(__file__).parents[1] / "judges/node_modules/lighthouse/cli/index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
# The least score of a page that is good enough, of 100.
SCORE_MIN = 95
SECONDS_MAX = 120
# What a busy machine takes long for is no fault of a page: the best of so many runs counts.
RUNS_MAX = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """scores: of a page by category, of 100. lost: what costs it points, audit → why. largest_paint_ms: when the
    largest part of what is seen first is painted (LCP)."""

    scores: Mapping[str, int]
    lost: Mapping[str, str]
    largest_paint_ms: float

    @property
    def least_score(self) -> int:
        return min(self.scores.values())


def _is_good(judged: Judged) -> bool:
    return judged.least_score >= SCORE_MIN


def lighthouse(
    url: str, folder: Path, cookies: Mapping[str, str] = {}, is_good: Callable[[Judged], bool] = _is_good
) -> Judged:
    """The best judgement of a page, which a browser with these cookies opens for the first time; the runs end with the
    first one that is good."""
    found: list[Judged] = []
    reason = ""
    for number in range(RUNS_MAX):
        # In a thread of its own: in this one Playwright's loop may be running for other tests.
        with ThreadPoolExecutor(1) as thread:
            run = _run(url, folder / f"report{number}.json", cookies)
            judged, reason = thread.submit(asyncio.run, run).result()
        found += [judged] if judged else []
        if judged and is_good(judged):
            return judged
    assert found, reason
    return max(found, key=lambda judged: (judged.least_score, -judged.largest_paint_ms))


async def _run(url: str, report: Path, cookies: Mapping[str, str]) -> tuple[Judged | None, str]:
    """The result of one run; None and the reason when the browser did not do it."""
    node, browser = need_node(), need_browser()
    if not PROGRAM.exists():
        not_run("npm's lighthouse is not installed (npm ci --prefix tests/judges)")
    order = [node, str(PROGRAM), url, "--output=json", f"--output-path={report}", "--quiet"]
    order += [f"--only-categories={','.join(CATEGORIES)}", "--no-enable-error-reporting"]
    # A short path, because Chromium's profile has a socket in it, whose path may have 107 characters.
    with tempfile.TemporaryDirectory() as profile:
        async with chromium(browser, Path(profile)) as page:
            await page.set_cookies(url, cookies)
            ran = await asyncio.create_subprocess_exec(*order, f"--port={page.port}", stdout=DEVNULL, stderr=PIPE)
            try:
                _, printed = await asyncio.wait_for(ran.communicate(), SECONDS_MAX)
            except TimeoutError:
                ran.kill()
                return None, f"not ready within {SECONDS_MAX} s"
    if ran.returncode != 0:
        return None, printed.decode("utf-8", "replace")[-4000:]
    return _judgement(json.loads(report.read_text("utf-8")))


def _judgement(found: Mapping[str, Any]) -> tuple[Judged | None, str]:
    if "runtimeError" in found:
        return None, str(found["runtimeError"])
    audits: Mapping[str, Any] = found["audits"]
    lost = {
        name: f"{audit['score']} {audit['title']} {audit.get('displayValue', '')}"
        for name, audit in audits.items()
        if audit["score"] is not None and audit["score"] < 1
    }
    scores = {name: round(100 * found["categories"][name]["score"]) for name in CATEGORIES}
    return Judged(scores, lost, audits["largest-contentful-paint"]["numericValue"]), ""
