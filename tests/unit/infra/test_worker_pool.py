"""Workers forked from a prepared process: to its caller each behaves like a fresh interpreter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.worker_pool import Worker, Zygote
from infra.local.zygote import ABSENT_PACKAGES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not run: workers are forked on Linux")
SECONDS_MAX = 60.0

# Prints facts about its process, then replies to each line until its input ends.
SCRIPT = """
import json, os, subprocess, sys
print(json.dumps({
    "name": __name__, "folder": os.getcwd(), "environment": dict(os.environ), "path": sys.path[0],
    "libraries": "pynamodb.models" in sys.modules, "product": "atelier" in sys.modules or "infra" in sys.modules,
    "child": subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode,
}), flush=True)
print("on the way", file=sys.stderr)
for line in sys.stdin:
    print(line.strip()[::-1], flush=True)
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    prepared = Zygote()
    yield prepared
    prepared.close()


@pytest.fixture
def worker(zygote: Zygote, tmp_path: Path) -> Iterator[Worker]:
    script = tmp_path / "_worker.py"
    script.write_text(SCRIPT)
    started = zygote.fork_worker(str(script), str(tmp_path), {"PATH": os.environ["PATH"], "GREETING": "grüß Gott"})
    yield started
    started.kill()


def test_a_worker_has_its_own_environment_and_the_preloaded_libraries(worker: Worker, tmp_path: Path) -> None:
    report = json.loads(worker.stdout.readline())
    assert report["environment"]["GREETING"] == "grüß Gott"
    assert "HOME" not in report["environment"]
    assert (report["name"], report["folder"], report["path"]) == ("__main__", str(tmp_path), str(tmp_path))
    assert (report["libraries"], report["product"]) == (True, False)
    assert report["child"] == 3, "it can wait for processes of its own"
    assert worker.stderr.readline() == "on the way\n"
    worker.stdin.write("pärchen\n")
    assert worker.stdout.readline() == "nehcräp\n"


def test_a_worker_ends_when_its_input_is_closed(worker: Worker) -> None:
    worker.stdout.readline()
    assert worker.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0)
    worker.stdin.close()
    assert worker.wait(SECONDS_MAX) == 0
    assert worker.stdout.read() == ""
    worker.terminate()


@pytest.mark.parametrize(
    ("last", "printed"), [("", ""), ("raise ValueError('why')", "ValueError: why"), ("sys.exit()", "")]
)
def test_a_worker_ends_without_tidying_up_but_says_all(zygote: Zygote, tmp_path: Path, last: str, printed: str) -> None:
    """Freeing all that is imported would take each worker of a stack that stops a tenth of a second or more."""
    script = tmp_path / "_worker.py"
    script.write_text(f"import atexit, sys\natexit.register(print, 'tidied up')\nprint('said')\n{last}\n")
    worker = zygote.fork_worker(str(script), str(tmp_path), {})
    worker.wait(SECONDS_MAX)
    assert worker.stdout.read() == "said\n"
    assert printed in worker.stderr.read()


def test_a_worker_imports_no_package_that_its_function_has_no_layer_for(zygote: Zygote, tmp_path: Path) -> None:
    script = tmp_path / "_worker.py"
    script.write_text(
        "import importlib, json\n"
        "found = {}\n"
        "for name in ('PIL', 'PIL.Image', 'starlette', 'pydantic'):\n"
        "    try:\n"
        "        found[name] = importlib.import_module(name).__name__\n"
        "    except ModuleNotFoundError as error:\n"
        "        found[name] = str(error)\n"
        "print(json.dumps(found), flush=True)\n"
    )
    worker = zygote.fork_worker(str(script), str(tmp_path), {ABSENT_PACKAGES: "PIL,starlette"})
    # Pillow was imported before the fork, Starlette was not.
    assert json.loads(worker.stdout.readline()) == {
        "PIL": "No module named 'PIL'",
        "PIL.Image": "No module named 'PIL'",
        "starlette": "No module named 'starlette'",
        "pydantic": "pydantic",
    }
    worker.kill()


def test_two_workers_are_separate_processes(zygote: Zygote, tmp_path: Path) -> None:
    script = tmp_path / "_worker.py"
    script.write_text("import os, sys\nprint(os.getpid(), flush=True)\nsys.stdin.read()\n")
    workers = [zygote.fork_worker(str(script), str(tmp_path), {}) for _ in range(2)]
    assert [int(each.stdout.readline()) for each in workers] == [each.pid for each in workers]
    workers[0].kill()
    workers[0].wait(SECONDS_MAX)
    assert workers[1].poll() is None
    workers[1].terminate()
    workers[1].wait(SECONDS_MAX)


def test_a_dead_zygote_raises_os_error(tmp_path: Path) -> None:
    lost = Zygote()
    script = tmp_path / "_worker.py"
    script.write_text("")
    os.kill(lost.process_id, signal.SIGKILL)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on when it died
        lost.fork_worker(str(script), str(tmp_path), {})
    lost.close()
