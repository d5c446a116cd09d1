"""What is the same for every provider: its simulator is a program too, and its adapter is cheap to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from infra.simulators.all import PROVIDERS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_simulator_runs_as_a_program_that_prints_its_url(provider: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", f"infra.simulators.{provider}", "--port", "0"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    # Kills a child that prints nothing, so that the reading below ends.
    watchdog = threading.Timer(20, child.kill)
    watchdog.start()
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/_simulator/health") as answer:
            assert json.load(answer) == {"status": "ok"}
    finally:
        watchdog.cancel()
        child.terminate()
        assert child.wait(timeout=10) == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_importing_an_adapter_imports_no_http_client_and_no_sdk(provider: str) -> None:
    heavy = "{'httpx', 'cryptography', 'urllib.request', 'openai', 'replicate'}"
    script = f"import sys, atelier.adapters.providers.{provider}; sys.exit(bool({heavy} & set(sys.modules)))"
    source = Path(sys.modules["atelier"].__path__[0]).parent
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(source)}, check=False).returncode == 0
