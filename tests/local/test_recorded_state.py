"""A data folder that an earlier build wrote is served by this one: nothing that a person has may be lost by an upgrade.

`recorded/<commit>.tar.xz` holds the data folder of `make run` as that build left it (without what a start makes anew:
layers, artifacts, logs) and `expected.json`: the account, and what that build answered.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.deploy import OBSERVERS_STACK, STACK
from infra.local.stack_process import RunningStack
from tests.local.test_proof import check

RECORDED = Path(__file__).parent / "recorded"
STACKS = (STACK, OBSERVERS_STACK)


@dataclass(frozen=True, slots=True)
class Recorded:
    """expected: `expected.json`. stack: this build on the recorded folder. http: the account, logged in to it."""

    expected: dict[str, Any]
    stack: RunningStack
    http: httpx.Client

    def before(self, path: str) -> Any:
        """The data that the earlier build answered."""
        return self.expected["answers"][path]["data"]

    def now(self, path: str) -> Any:
        """The data that this build answers."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module", params=sorted(RECORDED.glob("*.tar.xz")), ids=lambda path: path.name.split(".")[0])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    with RunningStack(folder / "data") as stack, httpx.Client(base_url=stack.base_url, timeout=40) as http:
        account = {"email": expected["email"], "password": expected["password"], "token_delivery": "body"}
        answer = http.post("/api/auth/login", json=account)
        assert answer.status_code == 200, answer.text
        http.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        yield Recorded(expected, stack, http)


def test_the_statement_keeps_every_recorded_movement(recorded: Recorded) -> None:
    before = recorded.before("/api/credits/entries?limit=50")["items"]
    now = recorded.now("/api/credits/entries?limit=50")["items"]
    # Later days add the daily grant of credits and the expiry of older ones, newest first.
    assert now[len(now) - len(before) :] == before
    assert {movement["kind"] for movement in now[: len(now) - len(before)]} <= {"grant", "expire"}


def test_the_wallet_is_the_sum_of_its_statement(recorded: Recorded) -> None:
    balance = recorded.now("/api/credits")
    entries = [entry for item in recorded.now("/api/credits/entries?limit=50")["items"] for entry in item["entries"]]
    for account in ("available", "held"):
        assert balance[account] == sum(entry["amount"] for entry in entries if entry["account"] == account)


def test_the_proof_continues_from_the_recorded_head(recorded: Recorded, tmp_path: Path) -> None:
    head = recorded.before("/api/credits/proof")["head"]
    file = tmp_path / "proof.json"
    file.write_text(recorded.http.get("/api/credits/proof").text)
    status, output = check(file, head=f"{head['number']}:{head['hash']}")
    assert status == 0, output


def test_recorded_generations_keep_every_recorded_field(recorded: Recorded) -> None:
    for generation_id in recorded.expected["generations"]:
        path = f"/api/generations/{generation_id}"
        before, now = (unsigned(data["generation"]) for data in (recorded.before(path), recorded.now(path)))
        # Later builds may add fields; none may be missing.
        assert {name: now[name] for name in before} == before


def test_recorded_assets_are_served_byte_by_byte(recorded: Recorded) -> None:
    served = {}
    for generation_id in recorded.expected["generations"]:
        for asset in recorded.now(f"/api/generations/{generation_id}")["generation"]["assets"]:
            if asset["url"]:
                served[asset["id"]] = hashlib.sha256(recorded.http.get(asset["url"]).content).hexdigest()
    assert served == recorded.expected["assets"] != {}


@pytest.mark.parametrize(
    "path", ["/api/characters", "/api/templates", "/api/tokens", "/api/projects", "/api/assets?limit=50"]
)
def test_a_recorded_list_has_its_items(recorded: Recorded, path: str) -> None:
    before, now = ([unsigned(item) for item in data["items"]] for data in (recorded.before(path), recorded.now(path)))
    assert [{name: item[name] for name in old} for item, old in zip(now, before, strict=True)] == before != []


def test_a_recorded_token_still_opens_the_api_and_makes_an_image(recorded: Recorded) -> None:
    headers = {"Authorization": f"Bearer {recorded.expected['token']['token']}", "Prefer": "wait=25"}
    body = {"prompt": "a pier", "model": "local/canvas", "parameters": {"width": 256, "height": 256}}
    answer = recorded.http.post("/api/generate/image", json=body, headers=headers)
    assert answer.json()["data"]["generation"]["status"] == "succeeded", answer.text


def test_the_alarms_are_those_of_this_build_alone(recorded: Recorded) -> None:
    stacks = [recorded.stack.aws().client("cloudformation").describe_stack_resources(StackName=name) for name in STACKS]
    deployed = {
        each["PhysicalResourceId"]
        for stack in stacks
        for each in stack["StackResources"]
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }
    pages = recorded.stack.aws().client("cloudwatch").get_paginator("describe_alarms").paginate()
    # The local stack adds alarms that compute some time after its start, under the names that the template gives them.
    computed = {"ObservabilityApiErrorsAlarm", "ObservabilityBackupMissingAlarm"}
    found = {alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]}
    assert found - computed == deployed != set()


def unsigned(value: Any) -> Any:
    """The same without URLs, whose signatures and host change."""
    if isinstance(value, dict):
        return {name: unsigned(each) for name, each in value.items() if not name.endswith("url")}
    return [unsigned(each) for each in value] if isinstance(value, list) else value
