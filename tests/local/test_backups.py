"""Backups of a whole local stack: what a person has is there again, from a copy of its data folder; and the nightly
backup of the deployment runs with the permissions of its template."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pyrage

from infra.local import saved_state
from infra.local.stack_process import RunningStack
from tests.local.client import PASSWORD, AccountClient
from tests.local.test_proof import check
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> str:
    """What the command prints; it must succeed."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def picture(person: AccountClient, generation_id: str) -> str:
    """The SHA-256 of the bytes that the person sees."""
    [asset] = person.generation(generation_id)["assets"]
    answer = person.http.get(asset["url"])
    assert answer.status_code == 200
    return hashlib.sha256(answer.content).hexdigest()


def log_in(stack: RunningStack, person: AccountClient) -> None:
    """The same account, logged in to the stack that runs now."""
    answer = httpx.post(
        f"{stack.base_url}/api/auth/login",
        json={"email": person.email, "password": PASSWORD, "token_delivery": "body"},
        timeout=40,
    )
    assert answer.status_code == 200, answer.text
    person.http.base_url = stack.base_url
    person.http.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"


def proof_of(person: AccountClient, file: Path) -> dict[str, Any]:
    answer = person.get("/api/credits/proof")
    assert answer.status_code == 200, answer.text
    file.write_text(answer.text)
    return answer.json()["data"]


def write_backup(stack: RunningStack) -> dict[str, Any]:
    """The deployment's own backup, by its state machine; returns the record's view."""
    states = stack.aws().client("stepfunctions")
    machine = stack.resource("WriteBackup")
    arn = states.start_execution(stateMachineArn=machine, input='{"scope": "daily"}')["executionArn"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    assert wait_until(ended, 120)["status"] == "SUCCEEDED"
    found = (
        stack.aws()
        .client("dynamodb")
        .query(
            TableName=stack.table("backups"),
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": "platform"}, ":sk": {"S": "bak_"}},
        )
    )
    [item] = found["Items"]
    assert item["state"]["S"] == "complete"
    return {"id": item["sk"]["S"], **json.loads(item["values"]["S"])}


def download(stack: RunningStack, bucket: str, prefix: str, folder: Path) -> None:
    s3 = stack.aws().client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            file = folder / entry["Key"].removeprefix(prefix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())


def test_all_that_a_person_has_is_there_after_a_restore(tmp_path: Path) -> None:
    data, recovery = tmp_path / "data", pyrage.x25519.Identity.generate()
    stack = RunningStack(data, parameters={"RecoveryKey": str(recovery.to_public())}).start()
    try:
        person = AccountClient(stack.base_url)
        made = person.generate(wait=25).json()["data"]["generation"]
        assert made["status"] == "succeeded"
        seen, before = picture(person, made["id"]), proof_of(person, tmp_path / "before.json")
        # Of the running stack.
        said = run("infra.local.backup", "backup", "--data", data, "--to", tmp_path / "running")
        assert "what was saved at" in said

        # The deployment's own backup, with the permissions of the template.
        record = write_backup(stack)
        download(stack, record["bucket"], f"daily/{record['id']}/", tmp_path / "nightly")
        later = person.generate("after the backup", wait=25).json()["data"]["generation"]
    finally:
        stack.stop()
    assert "sound: " in run("infra.backup_folder", tmp_path / "nightly")
    opened = json.loads(pyrage.decrypt((tmp_path / "nightly/escrow.age").read_bytes(), [recovery]))
    assert opened["secrets"]["provider_keys"]["keys"]
    # Of the stopped stack; it has what came after the first one too.
    run("infra.local.backup", "backup", "--data", data, "--to", tmp_path / "stopped")
    shutil.rmtree(data)
    run("infra.local.backup", "restore", "--data", tmp_path / "other", "--from", tmp_path / "stopped")
    tables = {name: newest_tables(tmp_path / name) for name in ("other", "running/data")}
    assert [later["id"] in tables[name] for name in tables] == [True, False]

    run("infra.local.backup", "restore", "--data", data, "--from", tmp_path / "running")
    with RunningStack(data) as restored:
        log_in(restored, person)
        assert picture(person, made["id"]) == seen
        proof_of(person, tmp_path / "after.json")
        status, output = check(tmp_path / "after.json", head=f"{before['head']['number']}:{before['head']['hash']}")
        assert status == 0, output
        assert person.get(f"/api/generations/{later['id']}").status_code == 404
        assert person.generate("life goes on", wait=25).json()["data"]["generation"]["status"] == "succeeded"


def newest_tables(folder: Path) -> str:
    """The embedded DynamoDB's state, as it would go on from it."""
    snapshot = saved_state.newest_snapshot(folder / "saved")
    assert snapshot is not None
    return (snapshot.folder / "dynamodb.json").read_text()
