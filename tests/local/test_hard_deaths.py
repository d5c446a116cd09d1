"""The local stack after one of its processes was killed: what it recovers, and what it reports as lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from infra.local import saved_state
from infra.local.stack_process import NotReady, RunningStack
from tests.local.client import PASSWORD, AccountClient
from tests.polling import wait_until

WAIT_SECONDS_MAX = 60
# What is written last into a copy's folder, whose name is its time.
COMPLETE = f"*/{saved_state.MANIFEST}"


def kill_emulator(stack: RunningStack) -> None:
    """Kills it as the kernel does when memory is short; the stack then ends by itself."""
    os.kill(stack.emulator_process_id, signal.SIGKILL)
    wait_until(lambda: any("the embedded AWS has died" in line for line in stack.lines), WAIT_SECONDS_MAX)


def log_in(stack: RunningStack, person: AccountClient) -> AccountClient:
    """The same account, logged in to the stack that runs now."""
    answer = httpx.post(f"{stack.base_url}/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    person.http.base_url = stack.base_url
    person.http.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"
    return person


def test_the_local_stack_recovers_the_last_saved_state_of_its_emulator(tmp_path: Path) -> None:
    saved = tmp_path / "data/saved"
    stack = RunningStack(tmp_path / "data").start()
    person = AccountClient(stack.base_url)
    made = person.generate(wait=25).json()["data"]["generation"]
    statement = person.statement()
    now = time.time_ns()
    wait_until(lambda: any(int(each.parent.name) > now for each in saved.glob(COMPLETE)), WAIT_SECONDS_MAX)
    kill_emulator(stack)
    stack.stop()

    # If the last copy is truncated, as by the kill, the previous copy is used.
    torn = saved / f"{2**62}"
    torn.mkdir()
    (torn / "dynamodb.json").write_text('{"payload": {"tables"')
    stack.start()
    assert re.search(r"did not end in order; going on from what was saved at \d\d:\d\d:\d\d", "\n".join(stack.lines))
    assert log_in(stack, person).statement() == statement
    [asset] = person.generation(made["id"])["assets"]
    assert person.http.get(asset["url"]).status_code == 200

    # No further copy can be written, as on a full disk.
    kept = saved.rename(tmp_path / "kept")
    saved.write_text("in the way")
    lost = person.generate(wait=25).json()["data"]["generation"]
    wait_until(
        lambda: any("the state cannot be written, and would be lost: " in line for line in stack.lines),
        WAIT_SECONDS_MAX,
    )
    stack.stop()
    [lost_changes] = [line for line in stack.lines if "the last changes are lost, they could not be written: " in line]
    assert "what was saved at " in lost_changes

    saved.unlink()
    kept.rename(saved)
    with stack:
        assert log_in(stack, person).get(f"/api/generations/{lost['id']}").status_code == 404
        assert person.generation(made["id"])["status"] == "succeeded"


def test_a_stack_killed_during_its_first_deployment_starts_again(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    with pytest.raises(NotReady):
        _start_and_kill(stack)
    with stack:
        [note, ready, *_] = stack.lines
        assert "the last run left no state that can be used; starting empty, what it left is in " in note
        assert "ready at" in ready
        assert AccountClient(stack.base_url).generate(wait=25).json()["data"]["generation"]["status"] == "succeeded"


def _start_and_kill(stack: RunningStack) -> None:
    """Kills the emulator as soon as the first object is in its bucket: in the middle of the deployment."""

    def kill() -> None:
        wait_until(lambda: any((stack.data / "s3").rglob("*.zip")), 60)
        for process in Path("/proc").glob("[0-9]*"):
            command = (process / "cmdline").read_bytes() if (process / "cmdline").exists() else b""
            if b"infra.local.emulator_process" in command and str(stack.data).encode() in command:
                os.kill(int(process.name), signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        stack.start()
    finally:
        killing.join()
        stack.stop()
        shutil.rmtree(stack.data / "layers", ignore_errors=True)
