"""Webhooks: the endpoints that get a workspace's events, what was delivered to them, and each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

DELIVERIES_PER_PAGE = 25
STATES = ("pending", "delivered", "failed", "cancelled")
# Refusals that a form itself shows, beside what was written.
SHOWN_IN_FORM = (409, 422)
ENDPOINTS = "/api/webhook-endpoints"


def show_endpoints(visit: Visit) -> Response:
    """The endpoints, and the form for a new one."""
    return _list_page(visit)


def create(visit: Visit) -> Response:
    """Adds an endpoint and shows its secret, this once."""
    try:
        made = visit.api.call("POST", ENDPOINTS, _fields(visit), headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _list_page(visit, status=error.status, error=error)
    return _list_page(visit, made=made)


def show_endpoint(visit: Visit) -> Response:
    """An endpoint with its deliveries."""
    return _endpoint_page(visit)


def change(visit: Visit) -> Response:
    """Changes address, events and description."""
    try:
        visit.api.call("PUT", _path(visit), _fields(visit))
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _endpoint_page(visit, status=error.status, error=error)
    return visit.go(f"/webhooks/{visit.part('endpoint_id')}")


def switch(visit: Visit) -> Response:
    """Enables or disables an endpoint."""
    visit.api.call("PUT", _path(visit), {"enabled": visit.form.get("enabled") == "1"})
    return visit.go(f"/webhooks/{visit.part('endpoint_id')}")


def rotate(visit: Visit) -> Response:
    """Gives an endpoint a new secret and shows it, this once."""
    made = visit.api.call("POST", f"{_path(visit)}/rotate-secret").data
    return _endpoint_page(visit, secret=made["secret"])


def send_test(visit: Visit) -> Response:
    """Sends a test event; its delivery shows what is answered."""
    delivery = visit.api.call("POST", f"{_path(visit)}/test").data["delivery"]
    return visit.go(f"/webhooks/deliveries/{delivery['id']}")


def remove(visit: Visit) -> Response:
    """Removes an endpoint."""
    visit.api.call("DELETE", _path(visit))
    return visit.go("/webhooks")


def show_delivery(visit: Visit) -> Response:
    """A delivery: what is sent, and each attempt."""
    delivery = visit.get(f"/api/webhook-deliveries/{visit.part('delivery_id')}")["delivery"]
    return visit.page("webhook_delivery.html", delivery=delivery)


def resend(visit: Visit) -> Response:
    """Sends a delivery again."""
    delivery_id = visit.part("delivery_id")
    visit.api.call("POST", f"/api/webhook-deliveries/{delivery_id}/resend")
    return visit.go(f"/webhooks/deliveries/{delivery_id}")


def _path(visit: Visit) -> str:
    return f"{ENDPOINTS}/{visit.part('endpoint_id')}"


def _fields(visit: Visit) -> dict[str, Any]:
    """The form's fields as the API takes them: no chosen event means all."""
    events = [str(event) for event in visit.form.getlist("event")]
    return {
        "url": str(visit.form.get("url", "")).strip(),
        "events": events or ["*"],
        "description": str(visit.form.get("description", "")),
    }


def _groups(types: list[str]) -> Mapping[str, list[str]]:
    """The types of events by their subject."""
    groups: dict[str, list[str]] = {}
    for each in types:
        groups.setdefault(each.partition(".")[0], []).append(each)
    return groups


def _list_page(visit: Visit, *, status: int = 200, made: Json | None = None, error: ApiError | None = None) -> Response:
    endpoints = visit.get(ENDPOINTS)
    return visit.page(
        "webhooks.html",
        status=status,
        endpoints=endpoints["items"],
        groups=_groups(endpoints["event_types"]),
        made=made,
        fields=_fields(visit) if error else {"url": "", "events": ["*"], "description": ""},
        error=error,
        errors=_errors(error),
    )


def _endpoint_page(
    visit: Visit, *, status: int = 200, secret: str | None = None, error: ApiError | None = None
) -> Response:
    state, cursor = visit.query.get("state", ""), visit.query.get("cursor", "")
    endpoints, endpoint, deliveries = visit.api.get_together(
        (ENDPOINTS, {}),
        (_path(visit), {}),
        (f"{_path(visit)}/deliveries", {"limit": DELIVERIES_PER_PAGE, "state": state, "cursor": cursor}),
    )
    return visit.page(
        "webhook.html",
        status=status,
        endpoint=endpoint["endpoint"],
        groups=_groups(endpoints["event_types"]),
        deliveries=deliveries,
        states=STATES,
        state=state,
        secret=secret,
        fields=_fields(visit) if error else endpoint["endpoint"],
        error=error,
        errors=_errors(error),
    )


def _errors(error: ApiError | None) -> dict[str, str]:
    """The messages by the form's fields: the API names the place in a list."""
    return {path.partition(".")[0]: message for path, message in error.fields.items()} if error else {}


routes = [
    route("/webhooks", show_endpoints),
    route("/webhooks", create, "POST"),
    route("/webhooks/deliveries/{delivery_id}", show_delivery),
    route("/webhooks/deliveries/{delivery_id}/resend", resend, "POST"),
    route("/webhooks/{endpoint_id}", show_endpoint),
    route("/webhooks/{endpoint_id}", change, "POST"),
    route("/webhooks/{endpoint_id}/switch", switch, "POST"),
    route("/webhooks/{endpoint_id}/rotate", rotate, "POST"),
    route("/webhooks/{endpoint_id}/test", send_test, "POST"),
    route("/webhooks/{endpoint_id}/remove", remove, "POST"),
]
