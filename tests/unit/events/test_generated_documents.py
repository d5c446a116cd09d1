"""docs/events.md and the section `webhooks` of the OpenAPI document say what the catalogue of events says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atelier.events.catalogue import (
    EVENTS,
    CleanUpFinished,
    DrillEnded,
    GenerationEnded,
    InvoicePaid,
    PackPaid,
    StageEnded,
    SubscriptionChanged,
    UpdatePublished,
    WebhookEndpointDisabled,
)
from atelier.events.deployment_events import DeploymentChange, IntegrationRefused
from atelier.events.event import Event, payload
from atelier.events.limits import BudgetAlert, CreditsGranted, CreditsLow, QuotaThresholdReached
from atelier.events.livestream_events import LivestreamChange, LivestreamOpen
from atelier.events.showcase_events import ListingChange, ListingRoyalty, ListingSale
from atelier.events.site_events import CommentMention
from atelier.events.workshop_events import EnrolmentChange, WorkshopChange
from atelier.events.workspace_events import AccountChanged, MemberChanged, WorkspaceChanged
from infra.openapi import EVENTS_TARGET, TARGET, render_events

AT = "2026-11-20T21:10:13.902Z"
EXAMPLES: list[Event] = [
    GenerationEnded("wsp_A", "gen_B", "succeeded", "local/canvas", 1, 0, AT, "image"),
    StageEnded("wsp_A", "gen_B", "failed", None, 0, 0, AT, "gen_C"),
    BudgetAlert("alr_0D", "wsp_A", "workspace", "threshold_reached", 80, 1000, 900, None, AT),
    QuotaThresholdReached("wsp_A", "members", 80, 8, 10, "2026-11", AT),
    CreditsGranted("wsp_A#grant#stripe#pi_B", "wsp_A", 500, "purchase", None, AT),
    CreditsLow("1", "wsp_A", 9, 10, AT),
    SubscriptionChanged("wsp_A", "sub_B", 1, "started", "pro@1", "active", AT, AT),
    InvoicePaid("wsp_A", "in_C", "usd", 2900, 0, 3300, AT),
    PackPaid("wsp_A", "pi_C", "usd", 600, 500, AT),
    MemberChanged("1", "wsp_A", "joined", "usr_B", None, "editor", AT),
    AccountChanged("usr_A", "wsp_B", "restored", AT, AT),
    WorkspaceChanged("wsp_C", "restored", AT, AT),
    DrillEnded("drl_A", "bak_B", "passed", 0, 100, 3, 4, AT),
    WebhookEndpointDisabled("wsp_A", "whe_B", "failing", AT, AT),
    CleanUpFinished(AT, "act", 1, 0, 2, 1, 0, 4, AT),
    CommentMention("wsp_A", "sit_B", "pag_C", "cmt_D", "usr_E", "usr_F", AT),
    WorkshopChange("wsp_A", "wks_B", "scheduled", 2, "Light in film", AT, AT),
    EnrolmentChange("wsp_A", "wks_B", "enr_C", "usr_D", "enrolled", "Light in film", AT, 0, AT),
    LivestreamChange("wsp_A", "liv_B", "started", 4, "A lake", AT, "", AT),
    LivestreamOpen("wsp_A", "liv_B", "usr_C", "A lake", AT),
    ListingChange("wsp_A", "lst_B", "usr_C", "approved", 2, "Lighthouse", AT),
    ListingSale("wsp_A", "lst_B", "pur_C", "usr_D", "sold", "Lighthouse", 90, AT),
    ListingRoyalty("wsp_A", "lst_B", "pur_C", "usr_D", "royalty_earned", "Lighthouse", 10, AT),
    UpdatePublished("upd_A", "news", "segment", AT),
    DeploymentChange("wsp_A", "dep_B", "sit_C", "usr_D", "cloudfront", 0, "live", "https://oak.example.com", AT),
    IntegrationRefused("wsp_A", "int_B", "netlify", "dep_C", AT),
]
DOCUMENT: dict[str, Any] = json.loads(TARGET.read_text())
JSON_TYPES = {"string": str, "integer": int, "null": type(None)}


def test_the_table_of_events_is_the_catalogue() -> None:
    assert EVENTS_TARGET.read_text() == render_events(), "run `.venv/bin/python -m infra.openapi`"


def test_the_document_has_a_webhook_for_each_type_of_event() -> None:
    assert sorted(DOCUMENT["webhooks"]) == sorted(name for event in EVENTS for name in event.types)


def test_there_is_an_example_of_each_event() -> None:
    assert [type(event) for event in EXAMPLES] == list(EVENTS)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_a_payload_matches_its_schema_in_the_document(event: Event) -> None:
    body = DOCUMENT["webhooks"][event.type]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = DOCUMENT["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    fields = payload(event)
    assert schema["required"] == list(schema["properties"]) == list(fields)
    for name, value in fields.items():
        described = schema["properties"][name]
        kinds = [JSON_TYPES[kind["type"]] for kind in described.get("anyOf", [described])]
        assert type(value) in kinds, name
        assert described["description"]
