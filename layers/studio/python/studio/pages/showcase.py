"""The showcase: what people publish, one's own works, purchases and earnings, and the moderators' queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

SHOWCASE, REVIEWS = "/api/showcase", "/api/admin/showcase"
ORDERS = ("newest", "popular", "followed")
# Refusals that a page itself shows: credits, roles, what happened meanwhile, fields.
SHOWN = (402, 403, 409, 422)
KINDS = ("asset", "character", "template")
# What a button does: the method and the path behind that of the listing.
ACTS: Mapping[str, tuple[str, str]] = {
    "purchase": ("POST", "/purchase"),
    "refund": ("POST", "/refund"),
    "collect": ("POST", "/collect"),
    "like": ("POST", "/like"),
    "unlike": ("DELETE", "/like"),
    "appeal": ("POST", "/appeal"),
    "remove": ("DELETE", ""),
}
EMPTY: Mapping[str, str] = {
    "title": "",
    "description": "",
    "tags": "",
    "licence": "standard",
    "price_credits": "0",
    "is_ai": "",
}


def show_list(visit: Visit) -> Response:
    """What is published: the newest, what is popular, what a search finds, or of those whom one follows."""
    chosen, is_signed_in = visit.query.get("order", ""), bool(visit.api.access_token)
    orders = ORDERS if is_signed_in else ORDERS[:2]
    order = chosen if chosen in orders else ORDERS[0]
    names = ("q", "tag", "creator")
    wanted = {name: visit.query.get(name, "").strip()[:100] for name in names}
    after = visit.query.get("after") or None
    if order == "followed":
        page = visit.get("/api/listings/followed", cursor=after)
    else:
        page = visit.get(SHOWCASE, order=order, cursor=after, **{name: text or None for name, text in wanted.items()})
    return visit.page(
        "showcase.html",
        listings=page["items"],
        after=page["next_cursor"],
        order=order,
        orders=orders,
        wanted=wanted,
        is_search=any(wanted.values()),
    )


def show(visit: Visit) -> Response:
    """A listing, and what one can do with it."""
    return _page(visit)


def act(visit: Visit) -> Response:
    """Buys, undoes it, collects; likes; removes, or asks for another decision."""
    method, below = ACTS.get(visit.part("action"), ("POST", "/none"))
    body: Json | None = None
    if below == "/purchase":
        body = {"price_credits": _number(str(visit.form.get("price_credits", "")))}
    try:
        visit.api.call(method, _path(visit) + below, body, headers={"Idempotency-Key": visit.form_key})
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go("/showcase/own" if visit.part("action") == "remove" else f"/showcase/{visit.part('listing_id')}")


def follow(visit: Visit) -> Response:
    """Follows the creator of a listing, or no more."""
    creator = visit.get(f"{_path(visit)}/mine")["listing"]["creator"]["user_id"]
    method = "POST" if visit.form.get("follow") == "1" else "DELETE"
    try:
        visit.api.call(method, f"/api/creators/{creator}/follow")
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/showcase/{visit.part('listing_id')}")


def report(visit: Visit) -> Response:
    """Tells the moderators."""
    body = {"reason": str(visit.form.get("reason", "")), "text": str(visit.form.get("text", ""))}
    try:
        visit.api.call("POST", f"{_path(visit)}/report", body)
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go("/showcase?reported=1")


def show_own(visit: Visit) -> Response:
    """What the workspace has published, and bought."""
    after, bought_after = visit.query.get("after") or None, visit.query.get("bought_after") or None
    listings, purchases = visit.api.get_together(
        ("/api/listings", {"cursor": after}), ("/api/purchases", {"cursor": bought_after})
    )
    return visit.page("showcase_own.html", listings=listings, purchases=purchases)


def show_earnings(visit: Visit) -> Response:
    """What one has earned."""
    user_id = visit.get("/api/users/me")["id"]
    earnings = visit.get(f"/api/creators/{user_id}/earnings", cursor=visit.query.get("after") or None)
    return visit.page("showcase_earnings.html", earnings=earnings)


def show_publish(visit: Visit) -> Response:
    """The form to publish an asset, a character or a template."""
    return _form_page(visit, EMPTY)


def publish(visit: Visit) -> Response:
    """Hands a work to the moderators."""
    typed = {name: str(visit.form.get(name, "")).strip() for name in EMPTY}
    kind, subject_id = _subject(visit)
    body: Json = {
        f"{kind}_id": subject_id,
        "title": typed["title"],
        "description": typed["description"],
        "tags": [tag.strip() for tag in typed["tags"].split(",") if tag.strip()],
        "licence": typed["licence"],
        "price_credits": _number(typed["price_credits"]),
        "is_ai": typed["is_ai"] == "1",
    }
    try:
        made = visit.api.call("POST", SHOWCASE, body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _form_page(visit, typed, error=error)
    return visit.go(f"/showcase/{made['listing']['id']}")


def show_reviews(visit: Visit) -> Response:
    """What waits for a moderator."""
    page = visit.get(REVIEWS, cursor=visit.query.get("after") or None)
    return visit.page("showcase_reviews.html", listings=page["items"], after=page["next_cursor"])


def show_review(visit: Visit) -> Response:
    """A listing as moderators see it."""
    return _review_page(visit)


def decide(visit: Visit) -> Response:
    """Decides whether everybody sees a listing."""
    body = {"decision": str(visit.form.get("decision", "")), "reason": str(visit.form.get("reason", ""))}
    try:
        visit.api.call("POST", f"{REVIEWS}/{visit.part('listing_id')}/decide", body)
    except ApiError as error:
        if error.status not in (409, 422):
            raise
        return _review_page(visit, error=error)
    return visit.go("/showcase/reviews")


def _path(visit: Visit) -> str:
    return f"{SHOWCASE}/{visit.part('listing_id')}"


def _page(visit: Visit, *, error: ApiError | None = None) -> Response:
    is_signed_in = bool(visit.api.access_token)
    mine: Json = visit.get(f"{_path(visit)}/mine") if is_signed_in else {}
    listing = mine["listing"] if mine else visit.get(_path(visit))["listing"]
    rules: Json = visit.get("/api/listings/rules") if is_signed_in else {}
    return visit.page(
        "showcase_listing.html",
        status=error.status if error else 200,
        listing=listing,
        mine=mine,
        purchase=mine.get("purchase"),
        rules=rules,
        error=error,
    )


def _form_page(visit: Visit, typed: Mapping[str, str], *, error: ApiError | None = None) -> Response:
    kind, subject_id = _subject(visit)
    rules = visit.get("/api/listings/rules")
    return visit.page(
        "showcase_publish.html",
        status=error.status if error else 200,
        typed=typed,
        kind=kind,
        subject_id=subject_id,
        rules=rules,
        error=error,
        errors={path.partition(".")[0]: text for path, text in (error.fields if error else {}).items()},
    )


def _review_page(visit: Visit, *, error: ApiError | None = None) -> Response:
    listing = visit.get(f"{REVIEWS}/{visit.part('listing_id')}")["listing"]
    return visit.page("showcase_review.html", status=error.status if error else 200, listing=listing, error=error)


def _subject(visit: Visit) -> tuple[str, str]:
    """What is published: its kind and its id, from the form or the address."""
    given: Mapping[str, Any] = visit.form if visit.form else visit.query
    return next(((kind, str(given[kind])) for kind in KINDS if given.get(kind)), ("asset", ""))


def _number(text: str) -> Any:
    """A whole number; any other text as it is, so that the API says what is wrong with it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


routes = [
    route("/showcase", show_list, public=True),
    route("/showcase/own", show_own),
    route("/showcase/earnings", show_earnings),
    route("/showcase/publish", show_publish),
    route("/showcase/publish", publish, "POST"),
    route("/showcase/reviews", show_reviews),
    route("/showcase/reviews/{listing_id}", show_review),
    route("/showcase/reviews/{listing_id}", decide, "POST"),
    route("/showcase/{listing_id}", show, public=True),
    route("/showcase/{listing_id}/do/{action}", act, "POST"),
    route("/showcase/{listing_id}/follow", follow, "POST"),
    route("/showcase/{listing_id}/report", report, "POST"),
]
