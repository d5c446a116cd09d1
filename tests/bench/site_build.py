"""Row 18: a site of 1,000 pages rendered and deployed, beside Pelican, a static generator, on the same content.

Ours is the whole job of a deployment to our own edge: collect, render, hash, store each file by its hash, store the
manifest, switch. Its ports are in memory, and files are written to a folder, as Pelican writes its own. Both take the
same HTML of each page, and each side has a fresh process. Memory is its peak, with 1,000 pages and with 4,000.

Run as a program with a side's name and a number of pages it prints the figures as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / ".venv-clients/bin/python"
PAGES, MANY_PAGES = 1_000, 4_000
ROUNDS = 3
PARAGRAPHS = 8


def rows() -> list[object]:
    from tests.bench.measure import NotRun, Result

    if not CLIENTS.exists():
        raise NotRun("Pelican is not installed (make .venv-clients)")
    runs = {side: [_run(side, PAGES) for _ in range(ROUNDS)] for side in ("ours", "pelican")}
    speed = {side: median(run["pages_per_second"] for run in found) for side, found in runs.items()}
    memory = {side: median(run["peak_mib"] for run in found) for side, found in runs.items()}
    many = _run("ours", MANY_PAGES)
    return [
        Result(18, f"{PAGES:,} pages rendered and deployed", speed["ours"], speed["pelican"], "pages/s", ratio_min=1.0),
        Result(18, "its peak memory", memory["ours"], memory["pelican"], "MiB", ratio_max=1.0),
        Result(18, f"peak memory, {MANY_PAGES:,} pages beside {PAGES:,}", many["peak_mib"], memory["ours"], "MiB"),
    ]


def _run(side: str, pages: int) -> dict[str, float]:
    python = sys.executable if side == "ours" else str(CLIENTS)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}" if side == "ours" else ""}
    ran = subprocess.run(
        [python, __file__, side, str(pages)], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{side}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def html(number: int) -> str:
    """The content of a page: a heading, and paragraphs with a link each."""
    sentence = "An oak table stands in the light of a window, and its grain runs from one end to the other. "
    paragraphs = (
        f'<p>{sentence * 3}<a href="/page-{(number * 7 + each) % PAGES}/">Table {number * each}</a></p>'
        for each in range(1, PARAGRAPHS + 1)
    )
    return f"<h1>Table number {number}</h1>" + "".join(paragraphs)


def build_ours(folder: Path, pages: int) -> Callable[[], int]:
    """Deploy to our own edge; returns how many pages are in the folder."""
    from dataclasses import replace

    from atelier.adapters.sites.cloudfront import OwnEdge
    from atelier.deployments.addresses import SiteHosts
    from atelier.deployments.model import DeploymentStatus, DeploymentTarget
    from atelier.sites.model import PublishedSite
    from tests.unit.deployments.sites import block, page, site
    from tests.unit.deployments.world import MemoryFiles, World

    class FolderFiles(MemoryFiles):
        """SiteFiles in a folder."""

        def put(self, workspace_id: str, site_id: str, sha256: str, body: bytes, content_type: str) -> None:
            (folder / sha256).write_bytes(body)
            self.bodies[sha256] = b""

    made = [page(f"/page-{number}", block(html(number)), title=f"Table number {number}") for number in range(pages)]
    published = PublishedSite(
        replace(site(), name="Tables"), tuple(sorted(made, key=lambda each: each.content.path)), {}
    )
    world = World(published, {DeploymentTarget.CLOUDFRONT: OwnEdge(SiteHosts(".sites.example"))})
    world.files = FolderFiles()

    def build() -> int:
        ended = world.run(world.request())
        assert ended.status is DeploymentStatus.LIVE, ended
        [manifest] = world.files.manifests.values()
        return sum(file.path.endswith("/index.html") and "/page-" in file.path for file in manifest.files)

    return build


def build_with_pelican(folder: Path, pages: int) -> Callable[[], int]:
    """Generate with Pelican's own simple theme; returns how many pages are in the folder."""
    from pelican import Pelican  # pyright: ignore[reportMissingImports]
    from pelican.settings import configure_settings, read_settings  # pyright: ignore[reportMissingImports]

    content, output = folder / "content/pages", folder / "output"
    content.mkdir(parents=True)
    for number in range(pages):
        head = f"<head><title>Table number {number}</title></head>"
        (content / f"page-{number}.html").write_text(f"<html>{head}<body>{html(number)}</body></html>")
    settings: Any = read_settings()
    settings |= {"PATH": str(folder / "content"), "OUTPUT_PATH": str(output), "SITENAME": "Tables"}
    settings |= {"PAGE_URL": "{slug}/", "PAGE_SAVE_AS": "{slug}/index.html", "SITEURL": "https://oak.example"}
    settings |= {"DIRECT_TEMPLATES": ["index"], "FEED_ALL_ATOM": None, "CATEGORY_FEED_ATOM": None}
    theme = Path(sys.modules["pelican"].__file__ or "").parent / "themes/simple"
    # A menu of all pages in each page would take its time in squares.
    settings |= {"THEME": str(theme), "DISPLAY_PAGES_ON_MENU": False, "TIMEZONE": "UTC"}
    site = Pelican(configure_settings(settings))

    def build() -> int:
        site.run()
        return len(list(output.glob("*/index.html")))

    return build


def main() -> None:
    """Measure one side."""
    sides = {"ours": build_ours, "pelican": build_with_pelican}
    pages = int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        build = sides[sys.argv[1]](Path(folder), pages)
        started = time.perf_counter()
        count = build()
        seconds = time.perf_counter() - started
    assert count == pages, f"{count} pages of {pages}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"pages_per_second": pages / seconds, "peak_mib": peak}))


if __name__ == "__main__":
    main()
