"""functions/api/status, fed with events: available, unavailable, the OpenAPI document, and an unknown route."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from atelier.aws.clients import client
from tests.embedded_aws import forget_wiring
from tests.functions.answers import answered, data, refusal
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/status")


def without_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_TABLE_LEDGER", "no-such-table")
    forget_wiring(clients=False)


def test_it_is_well_while_the_store_answers(app: ModuleType) -> None:
    response = answered(app, example("api/status/healthz"))
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "ok"})


def test_it_is_not_well_without_a_store(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_store(monkeypatch)
    response = answered(app, example("api/status/healthz"))
    assert (response["statusCode"], json.loads(response["body"])) == (503, {"status": "unavailable"})


def test_the_report_names_providers_and_counts_what_is_queued(app: ModuleType, cloud: Cloud) -> None:
    client("sqs").send_message(QueueUrl=cloud.attempts, MessageBody="{}")
    assert data(answered(app, example("api/status/report"))) == {
        "status": "ok",
        "services": {"store": "ok"},
        "providers": [{"id": "local", "enabled": True}, {"id": "replicate", "enabled": True}],
        "queues": {"attempts": 1},
    }


def test_the_report_tells_what_does_not_answer(app: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_ATTEMPTS_QUEUE_URL", f"{cloud.attempts}-gone")
    without_a_store(monkeypatch)
    report = data(answered(app, example("api/status/report")))
    assert (report["status"], report["services"], report["queues"]) == (
        "unavailable",
        {"store": "unavailable"},
        {"attempts": None},
    )


def test_the_document_is_served_and_may_be_kept(app: ModuleType) -> None:
    response = answered(app, example("api/status/openapi"))
    document = json.loads(response["body"])
    assert document["openapi"].startswith("3.1")
    assert "/api/generate" in document["paths"]
    assert response["headers"]["Cache-Control"] == "public, max-age=300"


def test_a_route_that_nobody_serves_is_told_in_the_envelope(app: ModuleType) -> None:
    assert refusal(answered(app, example("api/status/unknown_route"))) == (404, "NOT_FOUND")


def test_a_method_that_a_route_does_not_take_is_told_with_those_it_does(app: ModuleType) -> None:
    request = event("api/status/healthz")
    request["requestContext"]["http"]["method"] = "POST"
    response = answered(app, request)
    assert refusal(response) == (405, "METHOD_NOT_ALLOWED")
    assert response["headers"]["Allow"] == "GET, HEAD"
