"""The simulator of Mux is judged by Mux's own library, whose models read its answers."""

from __future__ import annotations

import json
import subprocess

from infra.simulators.streaming.mux import TOKEN_ID, MuxSimulator
from tests.invoke import ROOT
from tests.lanes import not_run

PYTHON = ROOT / ".venv-clients/bin/python"


def test_the_vendors_library_reads_every_answer() -> None:
    if not list(PYTHON.parents[1].glob("lib/*/site-packages/mux_python")):
        not_run("Mux's library is not installed (make .venv-clients)")
    with MuxSimulator() as simulator:
        asset = simulator.connect(simulator.make_stream())
        simulator.finish(asset)
        order = [str(PYTHON), str(ROOT / "tests/judges/streaming.py"), simulator.url, TOKEN_ID, simulator.api_key]
        ran = subprocess.run(order, input=json.dumps([asset]), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout) == [
        "idle",
        ["signed"],
        "disabled",
        True,
        "waiting",
        ["wsp_A/liv_B", "wsp_A/liv_A"],
        404,
        [["ready", "highest.mp4"]],
    ]
