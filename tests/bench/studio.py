"""Row 19: Studio's cold start beside a typical web console's, the own time of warm pages, the bytes of a first load.

The own time is what a page says in its header `Server-Timing`: from the request in the function to the response,
without the time for which it waited for the API, whose calls are rows of their own.
"""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path
from statistics import median

from infra import static_files
from tests.bench.cold_start import FIRST_REQUEST, compile_folder, emulator_environment, event, write_json
from tests.bench.measure import ROOT, Result, run_alternately
from tests.bench.stack import BenchStack
from tests.form_browser import FormBrowser

ROW = 19
COLD_RATIO_MAX = 0.5
OWN_MILLISECONDS_MAX = 15.0
FIRST_LOAD_BYTES_MAX = 60_000
PAGES = ("/home", "/create", "/library", "/projects", "/credits", "/providers")
REQUESTS = 30
LOADED = re.compile(r'(?:src|href|content)="/(static/[^"]+)"')


def rows(running: BenchStack, folder: Path) -> list[Result]:
    """All lines of the row; `folder` takes the staged copies."""
    return [*_cold_start(running, folder / "studio"), *_warm_pages(running)]


def _cold_start(running: BenchStack, folder: Path) -> list[Result]:
    layer = folder / "layer"
    shutil.copytree(ROOT / "layers/studio/python", layer, ignore=shutil.ignore_patterns("__pycache__"))
    request = event("GET", "/studio/sign-in", None, {})
    request["requestContext"] |= {"apiId": "bench", "domainName": "bench"}
    asked = str(write_json(folder / "sign_in.json", request))
    sides = {"bare": ([str(FIRST_REQUEST), "-", "-", ""], dict[str, str]())}
    for name, source, path in (
        ("studio", ROOT / "functions/studio", str(layer)),
        ("typical", Path(__file__).parent / "typical_studio", ""),
    ):
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        sides[name] = ([str(FIRST_REQUEST), str(folder / name / "app.py"), asked, path], emulator_environment(running))
    compile_folder(folder)
    found = run_alternately(sides)
    assert found["studio"]["status"] == found["typical"]["status"] == 200
    return [
        Result(ROW, f"Studio: {what}", found["studio"][key], found["typical"][key], unit, ratio_max=ratio_max)
        for what, key, unit, ratio_max in (
            ("cold start, beside FastAPI + Mangum", "milliseconds", "ms", COLD_RATIO_MAX),
            ("memory at that point", "mebibytes", "MiB", None),
        )
    ]


def _warm_pages(running: BenchStack) -> list[Result]:
    """Each page's median own time, and what its first load weighs: page, styles and scripts, compressed."""
    account = running.sign_up_account()
    browser = FormBrowser(running.child.base_url)
    browser.sign_in(account)
    files = {file.key: len(gzip.compress(file.content)) for file in static_files.collect().values()}
    results: list[Result] = []
    for page in PAGES:
        browser.open_page(page)
        own = [browser.open_page(page)[0] for _ in range(REQUESTS)]
        _, size, text = browser.open_page(page)
        results.append(
            Result(ROW, f"Studio: own time of {page}, warm", median(own), OWN_MILLISECONDS_MAX, "ms", ratio_max=1)
        )
        loaded = size + sum(files[key] for key in set(LOADED.findall(text)))
        results.append(Result(ROW, f"Studio: first load of {page}", loaded, FIRST_LOAD_BYTES_MAX, "bytes", ratio_max=1))
    return results
