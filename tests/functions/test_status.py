"""functions/api/status, fed with events: available, unavailable, the OpenAPI document, and an unknown route."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from atelier.adapters.aws.clients import client
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/status")


def without_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_TABLE_LEDGER", "no-such-table")
    clear_wiring_caches(clients=False)


def test_the_health_check_is_ok_while_the_store_responds(app: ModuleType) -> None:
    response = invoke_app(app, example_event("api/status/healthz"))
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"status": "ok"})


def test_the_health_check_is_unavailable_without_the_store(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_store(monkeypatch)
    response = invoke_app(app, example_event("api/status/healthz"))
    assert (response["statusCode"], json.loads(response["body"])) == (503, {"status": "unavailable"})


def test_the_report_lists_providers_and_queue_lengths(app: ModuleType, cloud: AwsResources) -> None:
    client("sqs").send_message(QueueUrl=cloud.attempts_queue, MessageBody="{}")
    assert success_data(invoke_app(app, example_event("api/status/report"))) == {
        "status": "ok",
        "services": {"store": "ok"},
        "providers": [{"id": "local", "enabled": True}, {"id": "replicate", "enabled": True}],
        "queues": {"attempts": 1},
    }


def test_the_report_names_unavailable_services(
    app: ModuleType, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_ATTEMPTS_QUEUE_URL", f"{cloud.attempts_queue}-gone")
    without_a_store(monkeypatch)
    report = success_data(invoke_app(app, example_event("api/status/report")))
    assert (report["status"], report["services"], report["queues"]) == (
        "unavailable",
        {"store": "unavailable"},
        {"attempts": None},
    )


def test_the_openapi_document_is_served_with_a_cache_header(app: ModuleType) -> None:
    response = invoke_app(app, example_event("api/status/openapi"))
    document = json.loads(response["body"])
    assert document["openapi"].startswith("3.1")
    assert "/api/generate" in document["paths"]
    assert response["headers"]["Cache-Control"] == "public, max-age=300"


def test_an_unknown_route_is_an_enveloped_404(app: ModuleType) -> None:
    assert error_of(invoke_app(app, example_event("api/status/unknown_route"))) == (404, "NOT_FOUND")


def test_an_unsupported_method_is_a_405_with_the_allow_header(app: ModuleType) -> None:
    request = event("api/status/healthz")
    request["requestContext"]["http"]["method"] = "POST"
    response = invoke_app(app, request)
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response["headers"]["Allow"] == "GET, HEAD"
