"""Row 19, too: when a phone has painted Studio's pages, and what Lighthouse gives them.

Lighthouse's own phone profile: a slow processor and network, simulated. Functions and caches of the stack are warm, the
browser's are empty.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest

from tests.bench.measure import NotRun, Result
from tests.bench.stack import BenchStack
from tests.bench.studio import ROW
from tests.form_browser import FormBrowser
from tests.local.lighthouse import SCORE_MIN, Judged, lighthouse

PAGES = ("/sign-in", "/home", "/create", "/library", "/credits", "/usage", "/projects", "/showcase")
# A picture that a page of Studio sends, and neither the media bucket nor the static files.
PICTURE = re.compile(r'<img [^>]*src="(/parts/[^"]+)"')
LARGEST_PAINT_MILLISECONDS_MAX = 1000.0


def rows(running: BenchStack, folder: Path) -> list[Result]:
    """Two lines a page; `folder` takes Lighthouse's reports."""
    folder.mkdir()
    browser = FormBrowser(running.child.base_url)
    results: list[Result] = []
    account = running.sign_up_account()
    for path in PAGES:
        if path == PAGES[1]:
            browser.sign_in(account)
        _warm(browser, path)
        try:
            judged = lighthouse(running.child.base_url + path, folder, browser.cookies, _is_good)
        except pytest.skip.Exception as reason:
            raise NotRun(str(reason)) from reason
        paint, least = judged.largest_paint_ms, judged.least_score
        lcp = f"Studio: LCP of {path}, phone profile of Lighthouse"
        results.append(Result(ROW, lcp, paint, LARGEST_PAINT_MILLISECONDS_MAX, "ms", ratio_max=1))
        score = f"Studio: Lighthouse, least of four scores, {path}"
        results.append(Result(ROW, score, least, SCORE_MIN, "points", ratio_min=1))
    return results


def _warm(browser: FormBrowser, path: str) -> None:
    """Opens a page twice with its pictures, which a browser asks for at the same time: each from its own function."""
    for _ in range(2):
        _, _, text = browser.open_page(path)
        with ThreadPoolExecutor() as threads:
            list(threads.map(browser.open_page, map(unescape, PICTURE.findall(text))))


def _is_good(judged: Judged) -> bool:
    return judged.least_score >= SCORE_MIN and judged.largest_paint_ms <= LARGEST_PAINT_MILLISECONDS_MAX
