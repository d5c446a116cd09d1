"""Credits: the balance, the statement, why something was charged, and the proof that the balance is right."""

from __future__ import annotations

import json
from datetime import datetime

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

MOVEMENTS_PER_PAGE = 20
# Texts of the check in the browser: `credits.check.<name>`, with places for these values.
CHECK_TEXTS = (
    *("sound", "balance", "head_is", "noted_agrees", "not_sound", "not_checked", "unavailable", "failed", "unreadable"),
    *("incomplete", "ends_early", "workspaces", "missing", "uncovered", "replaced", "digest", "twice", "line"),
    *("not_zero", "hold", "seal_fields", "seal_missing", "seal_link", "seal_hash", "seal_time", "seal_count"),
    *("seal_sums", "head", "noted", "wallet", "wallet_sums"),
)
CHECK_VALUES = ("n", "key", "seals", "at", "is", "should", "available", "held", "debt")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (400, 422)


def show_credits(visit: Visit) -> Response:
    """The balance, now and at a past instant if one is asked for, and a page of the statement."""
    cursor = visit.query.get("cursor", "")
    balance, statement = visit.api.get_together(
        ("/api/credits", {}), ("/api/credits/entries", {"limit": MOVEMENTS_PER_PAGE, "cursor": cursor})
    )
    at = visit.query.get("at", "")
    past, error = _past_balance(visit, at) if at else (None, None)
    return visit.page(
        "credits.html",
        balance=balance,
        statement=statement,
        describe=describe,
        proof_texts=_proof_texts(visit),
        is_older=bool(cursor),
        at=at,
        past=past,
        error=error,
    )


def _past_balance(visit: Visit, at: str) -> tuple[Json | None, ApiError | str | None]:
    try:
        # The field of a form has no time zone. The page says that it is read as UTC.
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None, str(visit.t("credits.past_unreadable"))
    try:
        return visit.get("/api/credits", at=f"{moment.replace(tzinfo=None).isoformat()}Z"), None
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return None, error


def _proof_texts(visit: Visit) -> dict[str, str]:
    """The texts of the check, for its script, which puts values into their places."""
    places = {name: f"{{{name}}}" for name in CHECK_VALUES}
    return {name: visit.t(f"credits.check.{name}", **places) for name in CHECK_TEXTS}


def describe(visit: Visit, movement: Json) -> str:
    """What a movement was and why, in the words of the person's language; the API's own word if there is no text for it
    yet."""
    facts = movement["facts"]
    source = facts.get("source") if movement["kind"] in ("grant", "transfer") else None
    key = f"credits.source.{source}" if source else f"credits.kind.{movement['kind']}"
    if "listing" in facts and movement["kind"] in ("escrow", "escrow_end"):
        key = "credits.because.purchase_refunded" if facts.get("refunded") else f"credits.listing.{movement['kind']}"
    if source in ("monthly", "promo") and facts.get("tier"):
        # The tier without its version; the day on which the period begins, which was paid or is a trial.
        tier, day = facts["tier"].partition("@")[0], (facts.get("period_start") or movement["at"])[:10]
        return visit.t("credits.monthly_of" if source == "monthly" else "credits.trial_of", tier=tier, day=day)
    because = f"credits.because.{str(facts.get('reason')).replace(' ', '_')}"
    if visit.t.has(because) and (source == "refund" or movement["kind"] == "revoke"):
        return visit.t(because)
    return visit.t(key) if visit.t.has(key) else key.rpartition(".")[2]


def explain(visit: Visit) -> Response:
    """Why a generation was charged: its price, its hold, how that ended, and which credits paid."""
    generation_id = visit.part("generation_id")
    explanation = visit.get(f"/api/credits/generations/{generation_id}")
    return visit.page("credits_why.html", why=explanation, describe=describe)


def show_proof(visit: Visit) -> Response:
    """A link to each part of the proof, for browsers without a script: a long history comes in several parts."""
    cursor = visit.query.get("cursor", "")
    part = visit.get("/api/credits/proof", cursor=cursor)
    return visit.page("credits_proof.html", next_cursor=part["next_cursor"], cursor=cursor)


def send_proof(visit: Visit) -> Response:
    """One part of the proof, as the API answers it: for the check in the browser and for downloads without a script."""
    part = visit.get("/api/credits/proof", cursor=visit.query.get("cursor", ""))
    first = part["seals"][0]["number"] if part["seals"] else 0
    name = "credits-proof" if first <= 1 and part["next_cursor"] is None else f"credits-proof-{first:06}"
    headers = {"content-disposition": f'attachment; filename="{name}.json"'}
    return Response(json.dumps(part, separators=(",", ":")), media_type="application/json", headers=headers)


routes = [
    route("/credits", show_credits),
    route("/credits/generations/{generation_id}", explain),
    route("/credits/proof", show_proof),
    route("/parts/credits/proof", send_proof),
]
