"""Lighthouse, which measures a page in a real browser as a phone on a slow network would show it.

It needs Node.js, Chromium and `npm ci --prefix tests/judges`; without them a test is skipped with a message."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.lanes import need_browser, need_node, not_run

PROGRAM = Path(__file__).parents[1] / "judges/node_modules/lighthouse/cli/index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
# The least score of a page that is good enough, of 100.
SCORE_MIN = 95
SECONDS_MAX = 120


# What a busy machine takes long for is no fault of a page: the best of so many runs counts.
RUNS_MAX = 3


def lighthouse(url: str, folder: Path) -> tuple[dict[str, int], dict[str, str]]:
    """The scores of a page by category, of 100, and what costs it points: audit → why."""
    best: tuple[dict[str, int], dict[str, str]] | None = None
    reason = ""
    for number in range(RUNS_MAX):
        found, reason = _run(url, folder / f"report{number}.json")
        if found is not None and (best is None or min(found[0].values()) > min(best[0].values())):
            best = found
        if best is not None and min(best[0].values()) >= SCORE_MIN:
            break
    assert best is not None, reason
    return best


def _run(url: str, report: Path) -> tuple[tuple[dict[str, int], dict[str, str]] | None, str]:
    """The result of one run; None and the reason when the browser did not do it."""
    node, browser = need_node(), need_browser()
    if not PROGRAM.exists():
        not_run("npm's lighthouse is not installed (npm ci --prefix tests/judges)")
    flags = "--headless=new --disable-gpu" + (" --no-sandbox" if os.geteuid() == 0 else "")
    order = [node, str(PROGRAM), url, "--output=json", f"--output-path={report}", f"--chrome-flags={flags}", "--quiet"]
    order += [f"--only-categories={','.join(CATEGORIES)}", "--no-enable-error-reporting"]
    # A short path, because Chromium's profile has a socket in it, whose path may have 107 characters.
    with tempfile.TemporaryDirectory() as profile:
        environment = {**os.environ, "CHROME_PATH": browser, "TMPDIR": profile}
        ran = subprocess.run(order, capture_output=True, text=True, timeout=SECONDS_MAX, check=False, env=environment)
    if ran.returncode != 0:
        return None, ran.stderr[-4000:]
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    if "runtimeError" in found:
        return None, str(found["runtimeError"])
    lost = {
        name: f"{audit['score']} {audit['title']} {audit.get('displayValue', '')}"
        for name, audit in found["audits"].items()
        if audit["score"] is not None and audit["score"] < 1
    }
    return ({name: round(100 * found["categories"][name]["score"]) for name in CATEGORIES}, lost), ""
