"""The simulator of Mux is judged by Mux's own library, whose models read its answers."""

from __future__ import annotations

import io
import json
import subprocess
import urllib.error
import urllib.request

import av
import pytest

from atelier.adapters.streaming.mux import MuxStreaming, access_of
from atelier.clock import system_clock
from atelier.livestreams.ports import StreamReference
from infra.simulators.kit.film import WIDTH
from infra.simulators.streaming.mux import TOKEN_ID, MuxSimulator
from tests.invoke import ROOT
from tests.lanes import not_run

PYTHON = ROOT / ".venv-clients/bin/python"


def test_the_picture_is_for_who_has_a_token() -> None:
    with MuxSimulator() as simulator:
        stream_id = simulator.make_stream()
        [playback] = simulator.streams[stream_id]["playback_ids"]
        service = MuxStreaming(lambda: access_of(simulator.access), simulator.url)
        shown = service.playback(StreamReference("wsp_A", "liv_A"), playback["id"], system_clock())
        with urllib.request.urlopen(shown.url) as answer:
            names = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        parts = [urllib.request.urlopen(f"{simulator.url}/stream/{name}").read() for name in names]
        with av.open(io.BytesIO(b"".join(parts))) as film:
            assert film.streams.video[0].codec_context.width == WIDTH
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(shown.url.partition("?")[0])


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
