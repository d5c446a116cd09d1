"""The example events: every function has some, and its handler accepts each of them unchanged."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from atelier.generations.model import DeliveredFile
from infra.simulators.kit.samples import sample_png
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ASSET,
    GENERATION,
    add_api_token,
    add_provider_key,
    begin_erasure,
    create_backup,
    create_character,
    create_deployment,
    create_export,
    create_organization,
    create_project,
    create_template,
    create_upload,
    create_webhook_endpoint,
    create_whole_export,
    make_administrator,
    submit_example,
    submit_run,
)
from tests.invoke import ROOT, calls, complete_event, example_event, load_function
from tests.recorded_assets import record_asset
from tests.webhook_receiver import webhook_receiver

FUNCTIONS = sorted(str(path.parent.relative_to(ROOT / "functions")) for path in (ROOT / "functions").rglob("app.py"))
EXAMPLES = {
    str(path.relative_to(ROOT / "events").with_suffix("")): folder
    for folder in FUNCTIONS
    for path in sorted((ROOT / "events" / folder).glob("*.json"))
} | {name: name.rpartition("/")[0] for name in calls()}
# Examples whose response is no success: nobody has logged in, and a recorded signature is too old.
REFUSED = {
    # No administrator has chosen the editorial workspace.
    "api/articles/create_article": 409,
    "api/auth/login": 401,
    "api/auth/refresh": 401,
    # The address of the examples' account is verified.
    "api/mailbox/send_verification": 409,
    # There is no subscription, no checkout, and no Stripe.
    "api/billing/cancel_plan": 409,
    "api/billing/change_plan": 409,
    "api/billing/get_checkout": 404,
    "api/billing/open_portal": 503,
    "api/billing/pause_plan": 409,
    "api/billing/preview_change": 409,
    "api/billing/resume_plan": 409,
    "api/billing/start_checkout": 503,
    # The example's account has no persona.
    "api/workshops/create_workshop": 403,
    # The example's site was never made.
    "api/page_writing/generate": 404,
    # The example's project goes nowhere.
    "api/projects/get_move": 404,
    "api/status/unknown_route": 404,
    # No worker runs here, so the generation is still in progress.
    "v1/complete": 409,
    "webhooks/providers/replicate": 400,
    "webhooks/providers/streaming": 400,
    "webhooks/stripe/invoice_paid": 400,
    # The example's workspace has no site.
    "api/deployments/ask_domain": 404,
    "api/deployments/deploy_site": 404,
    "hosted_sites/home": 404,
    # There is no function that compares prices with Stripe here.
    "api/admin_money/publish_proposal": 503,
}

# Functions that ask Stripe whatever the event is.
CALLING_STRIPE = {"tasks/sync_prices"}


@pytest.mark.parametrize("folder", FUNCTIONS)
def test_every_function_has_an_example_event(folder: str) -> None:
    assert folder in EXAMPLES.values(), f"events/{folder}/ holds no example"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_handler_accepts_its_example_event_and_logs_its_ids(
    name: str, cloud: AwsResources, log: io.StringIO, request: pytest.FixtureRequest
) -> None:
    if EXAMPLES[name] in CALLING_STRIPE:
        request.getfixturevalue("stripe")
    record_asset(submit_example(), DeliveredFile(ASSET, "image", "0" * 64, "png", 1, 512, 512, has_thumbnail=True), 0)
    add_provider_key()
    add_api_token()
    create_project()
    create_organization()
    submit_run()
    create_character()
    create_template()
    create_export()
    create_deployment()
    begin_erasure()
    create_whole_export()
    create_backup()
    create_upload(sample_png(64, 64, 7))
    create_webhook_endpoint()
    if name.startswith("api/") and "/api/admin/" in json.dumps(example_event(name)):
        make_administrator()
    event = example_event(name)
    with webhook_receiver() as receiver:
        if "ResponseURL" in event:
            event["ResponseURL"] = receiver.url
        answer: Any = load_function(EXAMPLES[name]).handler(event, None)
    if "requestContext" in event and "statusCode" in answer:
        expected = [REFUSED[name]] if name in REFUSED else range(200, 300)
        assert answer["statusCode"] in expected, answer["body"]
    assert answer is None or not answer.get("batchItemFailures")
    if EXAMPLES[name] == "studio":
        # Studio writes its log without the product's logger: `tests/unit/studio/test_handler.py`.
        return
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["level"] for line in lines} <= {"INFO", "WARNING"}
    assert lines[-1].keys() >= ids_of(event), lines[-1]


def test_a_second_complete_event_beside_calls_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("{}")
    assert complete_event(tmp_path) == {}
    (tmp_path / "get.json").write_text("{}")
    with pytest.raises(AssertionError, match=r"one complete event and has \['get.json', 'list.json'\]"):
        complete_event(tmp_path)


def ids_of(request: dict[str, Any]) -> set[str]:
    """The ids by which the log lines about an event are found."""
    text = json.dumps(request)
    if "requestContext" in request:
        caller_ids = {"user_id", "workspace_id"} if '"expires_at"' in text else set[str]()
        return {"request_id"} | caller_ids | ({"generation_id"} if f"/{GENERATION}" in text else set())
    return {"workspace_id", "generation_id"} if GENERATION in text else set()
