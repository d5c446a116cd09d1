"""Webhook endpoints with their secrets, and the list of events."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.form import MAP
from infra.simulators.stripe.operations import PAGING, TIMES, Operation, fits_times, listing, page_of, retrieval

FIELDS = {"description": str, "enabled_events": [str], "metadata": MAP, "url": str}
SECRET_OVERLAP_SECONDS = 24 * 3600


def create_endpoint(account: Account, params: Object) -> Object:
    """A new endpoint. Its secret is in this answer and in no other."""
    require(params["enabled_events"], "You must provide at least one event.", "enabled_events")
    _check_url(params["url"])
    id = account.new_id("we")
    endpoint = account.create("webhook_endpoint", id)
    assign(endpoint, params, "api_version", *FIELDS)
    secret = params.get("secret") or account.new_id("whsec", 32)
    account.note(id)["secrets"] = [(secret, None)]
    return {**endpoint, "secret": secret}


def _check_url(url: str) -> None:
    require(
        url.startswith(("http://", "https://")),
        "Invalid URL: An explicit scheme (such as https) must be provided.",
        "url",
    )


def update_endpoint(account: Account, params: Object, id: str) -> Object:
    endpoint = account.find("webhook_endpoint", id, in_path=True)
    if params.get("url"):
        _check_url(params["url"])
    assign(endpoint, params, *FIELDS)
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return endpoint


def delete_endpoint(account: Account, params: Object, id: str) -> Object:
    return account.delete(account.find("webhook_endpoint", id, in_path=True))


def roll_secret(account: Account, id: str, secret: str, overlap_seconds: int = SECRET_OVERLAP_SECONDS) -> None:
    """Give an endpoint a new secret; the old one signs too for a while, as when it is rolled in Stripe's dashboard."""
    facts = account.note(account.find("webhook_endpoint", id)["id"])
    until = account.time + overlap_seconds
    facts["secrets"] = [(secret, None), *((old, until) for old, _ in facts["secrets"][:1])]


def secrets_of(account: Account, id: str) -> list[str]:
    """The secrets that sign for an endpoint now, the newest first."""
    return [secret for secret, until in account.note(id).get("secrets", []) if until is None or until > account.time]


def wants(endpoint: Object, event_type: str) -> bool:
    """Whether an endpoint is sent events of this type."""
    return endpoint["status"] == "enabled" and bool({"*", event_type} & set(endpoint["enabled_events"]))


def list_events(account: Account, params: Object) -> Object:
    """Events, newest first. A type may end with `.*`. `delivery_success`: only those delivered, or only the others."""
    types, kind, success = params.get("types"), params.get("type"), params.get("delivery_success")
    require(not (types and kind), "You may only specify one of these parameters: type, types.", "types")

    def fits(event: Object) -> bool:
        named = types is None or event["type"] in types
        matching = (
            kind is None or event["type"] == kind or (kind.endswith(".*") and event["type"].startswith(kind[:-1]))
        )
        delivered = success is None or (event["pending_webhooks"] == 0) == success
        in_time = params.get("created") is None or fits_times(event["created"], params["created"])
        return named and matching and delivered and in_time

    return page_of([event for event in account.events if fits(event)][::-1], params, "/v1/events")


OPERATIONS = [
    Operation(
        "POST",
        "/v1/webhook_endpoints",
        create_endpoint,
        {**FIELDS, "api_version": str},
        ("enabled_events", "url"),
    ),
    listing("webhook_endpoint", "/v1/webhook_endpoints"),
    retrieval("webhook_endpoint", "/v1/webhook_endpoints"),
    Operation("POST", "/v1/webhook_endpoints/{id}", update_endpoint, {**FIELDS, "disabled": bool}),
    Operation("DELETE", "/v1/webhook_endpoints/{id}", delete_endpoint),
    Operation(
        "GET",
        "/v1/events",
        list_events,
        {**PAGING, "created": TIMES, "delivery_success": bool, "type": str, "types": [str]},
    ),
    retrieval("event", "/v1/events"),
]
