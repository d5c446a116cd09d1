"""Which events notify whom, as data, and the texts in each language."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from string import Formatter

import pytest

from atelier.clock import rfc3339
from atelier.feeds.model import FeedEvent
from atelier.ids import new_id
from atelier.mails.mail import LOCALES
from atelier.notifications.kinds import KINDS, OFFERED, Draft, ItemDone, draft_of, is_on
from atelier.notifications.model import NO_PREFERENCES, Channel, NotificationKind, Preferences
from atelier.notifications.render import FOLDER, texts_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KIND = NotificationKind


def event(type: str, **data: object) -> FeedEvent:
    return FeedEvent("evt", type, rfc3339(NOW), data)


def failed_after(wait: timedelta) -> Draft | ItemDone | None:
    data = {"generation_id": new_id("gen", NOW), "user_id": "usr_1"}
    return draft_of(FeedEvent("gen#failed", "generation.failed", rfc3339(NOW + wait), data))


WORKSHOP = {"workshop_id": "wks_1", "title": "Light", "starts_at": "2026-12-04T17:00:00.000Z", "user_id": "usr_1"}

LISTING = {"listing_id": "lst_1", "title": "Lighthouse", "user_id": "usr_1", "credits": 90}


def test_a_time_is_shown_in_the_readers_zone() -> None:
    drafted = draft_of(event("workshop.reminder", **WORKSHOP))
    assert isinstance(drafted, Draft)
    assert drafted.of == "usr_1"
    facts = {**drafted.facts, "workspace": "Atlas"}
    berlin = texts_of(KIND.WORKSHOP_REMINDER, "en", facts, "Europe/Berlin")
    assert berlin.body == "The workshop of Atlas begins on 2026-12-04 18:00 (Europe/Berlin)."
    assert "2026-12-04 17:00 (UTC)" in texts_of(KIND.WORKSHOP_REMINDER, "de", facts, "Nowhere/Land").body


def test_only_a_generation_that_failed_after_a_long_wait_notifies() -> None:
    assert failed_after(timedelta(minutes=4, seconds=59)) is None
    drafted = failed_after(timedelta(minutes=7, seconds=30))
    assert isinstance(drafted, Draft)
    assert (drafted.kind, drafted.facts, drafted.of) == (KIND.GENERATION_FAILED, {"minutes": 7}, "usr_1")
    assert str(drafted.path).startswith("/generations/gen_")


@pytest.mark.parametrize(
    ("type", "data", "kind", "path"),
    [
        ("budget.alert", {"budget": "workspace", "threshold": 80}, KIND.BUDGET_ALERT, "/projects"),
        ("budget.alert", {"budget": "prj_1", "threshold": 80}, KIND.BUDGET_ALERT, "/projects/prj_1"),
        ("subscription.past_due", {"tier": "pro@1", "status": "past_due"}, KIND.PAYMENT_FAILED, "/plan"),
        ("member.invited", {"role": "editor", "invitation_id": "inv_1"}, KIND.INVITATION, None),
        ("quota.threshold_reached", {"quota": "projects", "percent": 80}, KIND.QUOTA_NEARLY_USED, "/plan"),
        ("credits.low", {"credits": 9, "threshold": 10}, KIND.CREDITS_LOW, "/credits"),
        ("credits.granted", {"credits": 9, "grant_source": "admin"}, KIND.CREDITS_GRANTED, "/credits"),
        ("provider_key.refused", {"provider": "fal", "key_id": "key_1"}, KIND.PROVIDER_KEY_REFUSED, "/providers/fal"),
        (
            "comment.mentioned",
            {"site_id": "sit_1", "page_id": "pag_1", "user_id": "usr_1"},
            KIND.MENTIONED,
            "/sites/sit_1/pages/pag_1#comments",
        ),
        ("webhook_endpoint.disabled", {"endpoint_id": "whe_1"}, KIND.WEBHOOK_ENDPOINT_DISABLED, "/webhooks"),
        *[
            (f"listing.{change}", LISTING, kind, "/showcase/lst_1")
            for change, kind in [
                ("approved", KIND.LISTING_APPROVED),
                ("hidden", KIND.LISTING_HIDDEN),
                ("rejected", KIND.LISTING_REJECTED),
                ("sold", KIND.LISTING_SOLD),
                ("royalty_earned", KIND.ROYALTY_EARNED),
                ("refunded", KIND.SALE_REFUNDED),
                ("royalty_taken_back", KIND.SALE_REFUNDED),
            ]
        ],
        ("workshop.reminder", WORKSHOP, KIND.WORKSHOP_REMINDER, "/workshops/wks_1"),
        ("workshop.offered", WORKSHOP, KIND.WORKSHOP_OFFER, "/workshops/wks_1"),
        ("workshop.moved", WORKSHOP, KIND.WORKSHOP_MOVED, "/workshops/wks_1"),
        ("workshop.refunded", WORKSHOP, KIND.WORKSHOP_CANCELLED, "/workshops/wks_1"),
        (
            "livestream.open",
            {"livestream_id": "liv_1", "title": "Lake", "user_id": "usr_1"},
            KIND.LIVESTREAM_OPEN,
            "/live/liv_1",
        ),
    ],
)
def test_an_event_has_its_kind_and_its_page(type: str, data: dict[str, object], kind: KIND, path: str | None) -> None:
    drafted = draft_of(event(type, **data))
    assert isinstance(drafted, Draft)
    assert (drafted.kind, drafted.path) == (kind, path)
    for locale in LOCALES:
        assert texts_of(kind, locale, {**drafted.facts, "workspace": "Atlas"}).title


def test_a_plan_that_is_paid_again_ends_the_action_item() -> None:
    assert draft_of(event("subscription.changed", status="active")) == ItemDone(KIND.PAYMENT_FAILED)
    assert draft_of(event("subscription.changed", status="past_due")) is None
    assert draft_of(event("member.joined", user_id="usr_1")) == ItemDone(KIND.INVITATION, "usr_1")


def test_events_of_notifications_and_others_notify_nobody() -> None:
    for type in ("notification.created", "generation.succeeded", "generation.progress", "stage.failed"):
        assert draft_of(event(type)) is None
    assert draft_of(event("credits.granted", credits=3300, grant_source="monthly")) is None
    for change in ("sold", "refunded"):
        assert draft_of(event(f"listing.{change}", **{**LISTING, "credits": 0})) is None
    for change in ("submitted", "removed"):
        assert draft_of(event(f"listing.{change}", **LISTING)) is None


def test_every_language_has_the_same_texts_with_the_same_facts() -> None:
    catalogues = [json.loads((FOLDER / f"{locale}.json").read_text("utf-8")) for locale in LOCALES]
    facts = [
        {
            (kind, name): sorted(str(field) for _, field, _, _ in Formatter().parse(text) if field is not None)
            for kind, texts in catalogue.items()
            for name, text in texts.items()
        }
        for catalogue in catalogues
    ]
    assert all(each.keys() == facts[0].keys() for each in facts)
    # A translation may say less, never something else.
    assert all(set(each[key]) <= {*facts[0][key], "workspace"} for each in facts for key in each)
    assert {kind for kind, _ in facts[0]} == {kind.value for kind in KINDS} - {KIND.UPDATE.value}


def test_a_strangers_name_is_data() -> None:
    texts = texts_of(KIND.INVITATION, "de-CH", {"workspace": "{0.__class__}\r\nBcc: x" + "y" * 200, "role": "editor"})
    assert texts.title.startswith("Einladung zu {0.__class__}  Bcc: x")
    assert len(texts.title) < 120


def test_a_choice_goes_before_the_default() -> None:
    assert is_on(NO_PREFERENCES, KIND.BUDGET_ALERT, Channel.EMAIL)
    assert not is_on(NO_PREFERENCES, KIND.UPDATE, Channel.EMAIL)
    chosen = Preferences({("budget_alert", "email"): False, ("update", "email"): True})
    assert not is_on(chosen, KIND.BUDGET_ALERT, Channel.EMAIL)
    assert is_on(chosen, KIND.UPDATE, Channel.EMAIL)
    assert KIND.DEPLOYMENT_ENDED in OFFERED
