"""A wallet's proof, as a black box: fetched over HTTP, checked by the verifier in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from atelier.ledger import verify
from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.polling import wait_until


def check(*files: Path, head: str | None = None) -> tuple[int, str]:
    """The verifier's exit status and output; it runs as a single file, without the product."""
    heads = ["--head", head] if head else []
    command = [sys.executable, "-I", "-S", str(verify.__file__), *map(str, files), *heads]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_wallets_proof_verifies_offline_and_a_changed_one_fails(stack: Stack, tmp_path: Path) -> None:
    person = AccountClient(stack.base_url)
    opened = person.balance()
    began = datetime.now(UTC)
    made = person.generate(wait=25).json()["data"]["generation"]
    assert made["status"] == "succeeded"
    dynamodb = stack.running.aws().client("dynamodb")
    key = {"pk": {"S": person.workspace_id}, "sk": {"S": "seal#000000000001"}}
    # The stream alone has sealed it, before any proof is requested.
    wait_until(lambda: dynamodb.get_item(TableName=stack.running.table("ledger"), Key=key).get("Item"))
    answer, file = person.get("/api/credits/proof"), tmp_path / "proof.json"
    assert answer.status_code == 200, answer.text
    file.write_text(answer.text)
    proof = answer.json()["data"]
    assert sorted(entry["kind"] for entry in proof["entries"]) == ["grant", "hold", "settled"]
    status, said = check(file, head=f"{proof['head']['number']}:{proof['head']['hash']}")
    assert (status, said.startswith("sound: 3 entries")) == (0, True), said

    [used] = person.get(f"/api/credits/generations/{made['id']}").json()["data"]["grants_used"]
    assert used["credits"] == made["credits_charged"]
    then = person.get("/api/credits", at=began.isoformat()).json()["data"]
    assert (then["available"], then["grants"]) == (opened["available"], opened["grants"])

    proof["entries"][-1]["facts"]["attempts"] = 0
    file.write_text(json.dumps(proof))
    status, said = check(file)
    assert (status, "its digest is not the sealed one" in said) == (1, True), said


def test_a_proof_verifies_during_concurrent_spending(stack: Stack, tmp_path: Path) -> None:
    person = AccountClient(stack.base_url)
    for _ in range(3):
        assert person.generate().status_code == 202
    file = tmp_path / "proof.json"
    for _ in range(5):
        answer = person.get("/api/user/credits/proof")
        if answer.status_code == 503:
            continue
        file.write_text(answer.text)
        status, said = check(file)
        assert status == 0, said
