"""`make run` as a program: its output, its stored data, its processes, and how it redeploys changed code."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.stack_process import ROOT, NotReady, RunningStack
from tests.local.client import PASSWORD, AccountClient

WAIT_SECONDS_MAX = 30.0
PARTS = ("functions", "layers", "statemachines", "infra", "template.yaml")


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the deployed source, to be changed."""
    root = tmp_path / "repository"
    for part in PARTS:
        source, target = ROOT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return root


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack that the tests only read."""
    with RunningStack(tmp_path_factory.mktemp("running") / "data") as stack:
        yield stack


# ---- output ----------------------------------------------------------------------------------------------------------


def refused(stack: RunningStack) -> str:
    """The one line that a stack prints if it cannot start."""
    with pytest.raises(NotReady) as said:
        stack.start()
    assert stack.stop() == 1
    [line] = str(said.value).splitlines()
    return line


def test_the_stack_prints_one_line_when_it_is_ready(running: RunningStack) -> None:
    [line] = [line for line in running.lines if not line.startswith(("payments:", "mails:", "alarms:"))]
    assert re.fullmatch(r"atelier: ready at http://localhost:\d+ after [\d.]+ s; .*Ctrl-C stops it", line)


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(RunningStack(tmp_path / "data", port=port))
    assert line == f"atelier: port {port} is in use by another program; choose one with PORT=…"


def test_a_data_folder_in_use_is_reported_in_one_line(running: RunningStack) -> None:
    assert "another stack runs on" in refused(RunningStack(running.data))


def test_an_invalid_template_is_reported_in_one_line(tmp_path: Path, copy: Path) -> None:
    template = (copy / "infra/messaging.yaml").read_text()
    (copy / "infra/messaging.yaml").write_text(template.replace("maxReceiveCount: 5", "maxReceiveCount: none"))
    line = refused(RunningStack(tmp_path / "data", root=copy))
    assert line.startswith("atelier: MessagingAttemptsQueue (AWS::SQS::Queue): ")


def test_a_function_without_code_is_reported_in_one_line(tmp_path: Path, copy: Path) -> None:
    shutil.rmtree(copy / "functions/api/status")
    line = refused(RunningStack(tmp_path / "data", root=copy))
    assert line == "atelier: functions/api/status holds no code, but template.yaml names it"


def test_a_missing_python_module_is_reported_in_one_line(tmp_path: Path) -> None:
    absent = tmp_path / "aiohttp.py"
    absent.write_text('raise ModuleNotFoundError("No module named \'aiohttp\'", name="aiohttp")')
    ended = subprocess.run(
        [sys.executable, "-m", "infra.local", "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = "atelier: the Python module aiohttp is missing; `make run` installs what is needed\n"
    assert (ended.returncode, ended.stdout + ended.stderr) == (1, said)


# ---- data and processes ----------------------------------------------------------------------------------------------


def processes_of(stack: RunningStack) -> list[int]:
    """The emulator and its workers: all processes that have its port in their environment."""
    mark = f"GATEWAY_PORT={stack.endpoint.rpartition(':')[2]}\0".encode()
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="not run: processes are found in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_a_stopped_stack_leaves_no_process_and_keeps_its_data(tmp_path: Path, how: signal.Signals) -> None:
    stack = RunningStack(tmp_path / "data").start()
    person = AccountClient(stack.base_url)
    made = person.generate(wait=25).json()["data"]["generation"]
    statement = person.statement()
    sqs, queue = stack.aws().client("sqs"), "MessagingBillingEventsDeadLetters"
    sqs.send_message(QueueUrl=stack.resource(queue), MessageBody="in progress")
    [received] = sqs.receive_message(QueueUrl=stack.resource(queue), VisibilityTimeout=600)["Messages"]
    assert len(processes_of(stack)) > 2
    assert stack.stop(how) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
    until(lambda: not processes_of(stack))

    before = stack.base_url
    with stack:
        assert stack.base_url != before
        answer = httpx.post(f"{stack.base_url}/api/auth/login", json={"email": person.email, "password": PASSWORD})
        assert answer.status_code == 200
        person.http.base_url = stack.base_url
        person.http.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        assert person.statement() == statement
        [asset] = person.generation(made["id"])["assets"]
        assert person.http.get(asset["url"]).status_code == 200
        # Nobody processes a message any more that was being processed: it comes again at once.
        [message] = stack.aws().client("sqs").receive_message(QueueUrl=stack.resource(queue))["Messages"]
        assert (message["MessageId"], message["Body"]) == (received["MessageId"], "in progress")
        again = person.generate(wait=25).json()["data"]["generation"]
        assert again["status"] == "succeeded", "queues, streams and schedules work on the new port too"


# ---- changed code ----------------------------------------------------------------------------------------------------


def test_changed_code_is_redeployed_and_a_syntax_error_is_not(tmp_path: Path, copy: Path) -> None:
    app = copy / "functions/api/status/app.py"
    source = app.read_text()
    with RunningStack(tmp_path / "data", root=copy, arguments=("--watch", "1")) as stack:
        app.write_text(source.replace('"status": state', '"status": state, "changed": "yes"'))
        until(lambda: httpx.get(f"{stack.base_url}/healthz").json().get("changed") == "yes")
        # The line is printed when the whole deployment is done, which is after the function has changed.
        until(lambda: [line for line in stack.lines if "redeployed" in line])
        redeployed = [line for line in stack.lines if "redeployed" in line]
        assert "ApiStatusFunction" in redeployed[0]

        app.write_text("def handler(:\n")
        until(lambda: any("not redeployed: app.py, line 1" in line for line in stack.lines))
        assert httpx.get(f"{stack.base_url}/healthz").json()["changed"] == "yes"
