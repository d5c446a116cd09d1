"""The kinds of notifications as data: who gets one, by which channels unless the person has chosen otherwise, and which
events make one. A kind without a type of event is made by no event (`UPDATE`), or by none yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.clock import parse_rfc3339
from atelier.dataclass import dataclass
from atelier.feeds.model import FeedEvent
from atelier.identity.permissions import Role
from atelier.ids import created_at
from atelier.notifications.model import Channel, NotificationKind, Preferences

IN_APP, EMAIL, WEBHOOK = Channel
# A generation that failed after a shorter wait is seen by whoever waits for it.
LONG_WAIT = timedelta(minutes=5)
# A time is shown in the reader's time zone.
Fact = str | int | datetime


class Audience(StrEnum):
    """Who gets a notification, if that is not decided by the role."""

    CREATOR = "creator"
    # Whom the event means, while that person is a member of the workspace: what it earns concerns no former member.
    MEMBER = "member"
    INVITED = "invited"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class KindFacts:
    """One kind. audience: the weakest role of the members who get it, or another way to find them. channels: the ones
    that are on by default. is_offered: whether it is among the preferences."""

    audience: Role | Audience
    channels: frozenset[Channel]
    is_action_item: bool = False
    is_offered: bool = True


KINDS: dict[NotificationKind, KindFacts] = {
    NotificationKind.GENERATION_FAILED: KindFacts(Audience.CREATOR, frozenset({IN_APP})),
    NotificationKind.BUDGET_ALERT: KindFacts(Role.ADMIN, frozenset({IN_APP, EMAIL})),
    NotificationKind.PAYMENT_FAILED: KindFacts(Role.OWNER, frozenset({IN_APP, EMAIL}), is_action_item=True),
    # The invitation has a mail of its own, which has the link.
    NotificationKind.INVITATION: KindFacts(Audience.INVITED, frozenset({IN_APP}), is_action_item=True),
    NotificationKind.WORKSHOP_REMINDER: KindFacts(Audience.CREATOR, frozenset({IN_APP, EMAIL})),
    NotificationKind.WORKSHOP_OFFER: KindFacts(Audience.CREATOR, frozenset({IN_APP, EMAIL})),
    NotificationKind.WORKSHOP_MOVED: KindFacts(Audience.CREATOR, frozenset({IN_APP, EMAIL})),
    NotificationKind.WORKSHOP_CANCELLED: KindFacts(Audience.CREATOR, frozenset({IN_APP, EMAIL})),
    NotificationKind.LIVESTREAM_OPEN: KindFacts(Audience.CREATOR, frozenset({IN_APP})),
    NotificationKind.LISTING_APPROVED: KindFacts(Audience.MEMBER, frozenset({IN_APP})),
    NotificationKind.LISTING_HIDDEN: KindFacts(Audience.MEMBER, frozenset({IN_APP, EMAIL})),
    NotificationKind.LISTING_REJECTED: KindFacts(Audience.MEMBER, frozenset({IN_APP, EMAIL})),
    NotificationKind.LISTING_SOLD: KindFacts(Audience.MEMBER, frozenset({IN_APP})),
    NotificationKind.ROYALTY_EARNED: KindFacts(Audience.MEMBER, frozenset({IN_APP})),
    NotificationKind.SALE_REFUNDED: KindFacts(Audience.MEMBER, frozenset({IN_APP})),
    NotificationKind.QUOTA_NEARLY_USED: KindFacts(Role.ADMIN, frozenset({IN_APP, EMAIL})),
    NotificationKind.CREDITS_LOW: KindFacts(Role.ADMIN, frozenset({IN_APP, EMAIL})),
    NotificationKind.CREDITS_GRANTED: KindFacts(Role.ADMIN, frozenset({IN_APP})),
    NotificationKind.PROVIDER_KEY_REFUSED: KindFacts(Role.ADMIN, frozenset({IN_APP, EMAIL}), is_action_item=True),
    NotificationKind.WEBHOOK_ENDPOINT_DISABLED: KindFacts(Role.ADMIN, frozenset({IN_APP, EMAIL}), is_action_item=True),
    NotificationKind.DEPLOYMENT_ENDED: KindFacts(Audience.CREATOR, frozenset({IN_APP})),
    NotificationKind.MENTIONED: KindFacts(Audience.CREATOR, frozenset({IN_APP})),
    # Mails about news are for those who have asked for them.
    NotificationKind.UPDATE: KindFacts(Audience.CHOSEN, frozenset({IN_APP})),
}
OFFERED = tuple(kind for kind, facts in KINDS.items() if facts.is_offered)


def is_on(preferences: Preferences, kind: NotificationKind, channel: Channel) -> bool:
    """Whether a person gets a kind by a channel."""
    return preferences.chosen.get((kind.value, channel.value), channel in KINDS[kind].channels)


@dataclass(frozen=True, slots=True)
class Draft:
    """A notification before it is known who gets it. facts: for the texts. path: of Studio, where it leads; None =
    nowhere. of: the user whom CREATOR and MEMBER mean (who has ordered it, or is meant by it), or the invitation by
    which INVITED is found. once: a fact of which a person is notified once in a day (UTC), however many events tell
    it."""

    kind: NotificationKind
    facts: Mapping[str, Fact]
    path: str | None
    of: str | None = None
    once: str | None = None


@dataclass(frozen=True, slots=True)
class ItemDone:
    """What the action items of a kind in a workspace wanted is done. user_id: only this person's; None = all."""

    kind: NotificationKind
    user_id: str | None = None


def draft_of(event: FeedEvent) -> Draft | ItemDone | None:
    """What an event of a workspace means for notifications; None for one that notifies nobody."""
    make = _MAKERS.get(event.type)
    return make(event.data, event.occurred_at) if make else None


def _failed_generation(data: Mapping[str, Any], at: str) -> Draft | None:
    generation = str(data["generation_id"])
    waited = parse_rfc3339(at) - created_at(generation)
    if waited < LONG_WAIT:
        return None
    facts = {"minutes": int(waited.total_seconds() // 60)}
    return Draft(NotificationKind.GENERATION_FAILED, facts, f"/generations/{generation}", str(data["user_id"]))


def _budget_alert(data: Mapping[str, Any], _at: str) -> Draft:
    path = "/projects" if data["budget"] == "workspace" else f"/projects/{data['budget']}"
    return Draft(NotificationKind.BUDGET_ALERT, {"percent": int(data["threshold"])}, path)


def _failed_payment(data: Mapping[str, Any], _at: str) -> Draft:
    return Draft(NotificationKind.PAYMENT_FAILED, {"tier": str(data["tier"]).partition("@")[0]}, "/plan")


def _changed_plan(data: Mapping[str, Any], _at: str) -> ItemDone | None:
    return None if data["status"] == "past_due" else ItemDone(NotificationKind.PAYMENT_FAILED)


def _invited(data: Mapping[str, Any], _at: str) -> Draft:
    return Draft(NotificationKind.INVITATION, {"role": str(data["role"])}, None, str(data["invitation_id"]))


def _joined(data: Mapping[str, Any], _at: str) -> ItemDone:
    return ItemDone(NotificationKind.INVITATION, str(data["user_id"]))


def _enrolment(kind: NotificationKind, data: Mapping[str, Any]) -> Draft:
    """For whoever is enrolled, whatever workspace that person is in."""
    facts = {"workshop": str(data["title"]), "starts_at": parse_rfc3339(str(data["starts_at"]))}
    return Draft(kind, facts, f"/workshops/{data['workshop_id']}", str(data["user_id"]))


def _open_livestream(data: Mapping[str, Any], _at: str) -> Draft:
    """For whoever is enrolled, whatever workspace that person is in."""
    facts = {"livestream": str(data["title"])}
    return Draft(NotificationKind.LIVESTREAM_OPEN, facts, f"/live/{data['livestream_id']}", str(data["user_id"]))


def _listing(kind: NotificationKind, data: Mapping[str, Any]) -> Draft:
    """For whoever has published it."""
    return Draft(kind, {"listing": str(data["title"])}, f"/showcase/{data['listing_id']}", str(data["user_id"]))


def _earned(kind: NotificationKind, data: Mapping[str, Any]) -> Draft | None:
    """For the person whose work the credits are for. What is free is taken without a word, as likes are given."""
    drafted, credits = _listing(kind, data), int(data["credits"])
    return replace(drafted, facts={**drafted.facts, "credits": credits}) if credits else None


def _used_quota(data: Mapping[str, Any], _at: str) -> Draft:
    facts = {"quota": str(data["quota"]), "percent": int(data["percent"])}
    return Draft(NotificationKind.QUOTA_NEARLY_USED, facts, "/plan")


def _few_credits(data: Mapping[str, Any], _at: str) -> Draft:
    facts = {"credits": int(data["credits"]), "threshold": int(data["threshold"])}
    return Draft(NotificationKind.CREDITS_LOW, facts, "/credits")


def _new_credits(data: Mapping[str, Any], _at: str) -> Draft | None:
    # Those of a plan come each month, and a sale has a list of its own.
    if data["grant_source"] in ("monthly", "transfer"):
        return None
    return Draft(NotificationKind.CREDITS_GRANTED, {"credits": int(data["credits"])}, "/credits")


def _refused_key(data: Mapping[str, Any], _at: str) -> Draft:
    provider = str(data["provider"])
    return Draft(
        NotificationKind.PROVIDER_KEY_REFUSED,
        {"provider": provider},
        f"/providers/{provider}",
        once=str(data["key_id"]),
    )


def _disabled_endpoint(_data: Mapping[str, Any], _at: str) -> Draft:
    return Draft(NotificationKind.WEBHOOK_ENDPOINT_DISABLED, {}, "/webhooks")


def _ended_deployment(data: Mapping[str, Any], _at: str) -> Draft:
    return Draft(NotificationKind.DEPLOYMENT_ENDED, {}, f"/deployments/{data['deployment_id']}", str(data["user_id"]))


def _mentioned(data: Mapping[str, Any], _at: str) -> Draft:
    path = f"/sites/{data['site_id']}/pages/{data['page_id']}#comments"
    return Draft(NotificationKind.MENTIONED, {}, path, str(data["user_id"]))


_MAKERS: dict[str, Callable[[Mapping[str, Any], str], Draft | ItemDone | None]] = {
    "generation.failed": _failed_generation,
    "generation.expired": _failed_generation,
    "budget.alert": _budget_alert,
    "subscription.past_due": _failed_payment,
    "subscription.started": _changed_plan,
    "subscription.changed": _changed_plan,
    "subscription.ended": _changed_plan,
    "member.invited": _invited,
    "member.joined": _joined,
    "workshop.reminder": lambda data, _at: _enrolment(NotificationKind.WORKSHOP_REMINDER, data),
    "workshop.offered": lambda data, _at: _enrolment(NotificationKind.WORKSHOP_OFFER, data),
    "workshop.moved": lambda data, _at: _enrolment(NotificationKind.WORKSHOP_MOVED, data),
    "workshop.refunded": lambda data, _at: _enrolment(NotificationKind.WORKSHOP_CANCELLED, data),
    "livestream.open": _open_livestream,
    "listing.approved": lambda data, _at: _listing(NotificationKind.LISTING_APPROVED, data),
    "listing.hidden": lambda data, _at: _listing(NotificationKind.LISTING_HIDDEN, data),
    "listing.rejected": lambda data, _at: _listing(NotificationKind.LISTING_REJECTED, data),
    "listing.sold": lambda data, _at: _earned(NotificationKind.LISTING_SOLD, data),
    "listing.royalty_earned": lambda data, _at: _earned(NotificationKind.ROYALTY_EARNED, data),
    "listing.refunded": lambda data, _at: _earned(NotificationKind.SALE_REFUNDED, data),
    "listing.royalty_taken_back": lambda data, _at: _earned(NotificationKind.SALE_REFUNDED, data),
    "quota.threshold_reached": _used_quota,
    "credits.low": _few_credits,
    "credits.granted": _new_credits,
    "provider_key.refused": _refused_key,
    "webhook_endpoint.disabled": _disabled_endpoint,
    "deployment.live": _ended_deployment,
    "deployment.failed": _ended_deployment,
    "comment.mentioned": _mentioned,
}
NOTIFYING_TYPES = frozenset(_MAKERS)
