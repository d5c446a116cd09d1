"""The second step of a sign-in: a code, a recovery code or a passkey; and confirming once more who one is."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.paths import own_path
from studio.sign_in_steps import (
    credential_of,
    entered,
    kept_fields,
    link_login,
    next_step,
    pending_login,
    second_factor_page,
)
from studio.visit import Visit

# Refusals that the form itself shows.
SHOWN_IN_FORM = (401, 403, 422, 429)
FACTORS = ("totp", "passkey")


def code_fields(visit: Visit) -> dict[str, Any]:
    """The proof that a form gives, as the API takes it."""
    recovery, code = str(visit.form.get("secret_recovery", "")).strip(), str(visit.form.get("secret_code", ""))
    return {"recovery_code": recovery} if recovery else {"code": "".join(code.split())}


def send_code(visit: Visit) -> Response:
    """Goes on with a code or a recovery code."""
    ticket, target, kept = _ticket(visit), own_path(str(visit.form.get("next", "/"))), kept_fields(visit)
    try:
        data = visit.session.open("/api/auth/mfa/verify", {"mfa_ticket": ticket, **code_fields(visit)})
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return second_factor_page(visit, ticket, _factors(visit), target, kept, error, login=pending_login(visit))
    return next_step(visit, data, target, kept, pending_login(visit)) or entered(visit, target, kept)


def send_passkey(visit: Visit) -> Response:
    """Signs in with a passkey: alone, or as the second factor."""
    ticket, target, kept = _ticket(visit), own_path(str(visit.form.get("next", "/"))), kept_fields(visit)
    body = {"credential": credential_of(visit), **({"mfa_ticket": ticket} if ticket else {})}
    try:
        data = visit.session.open("/api/auth/passkeys/login/verify", body)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        if ticket:
            return second_factor_page(visit, ticket, _factors(visit), target, kept, error, login=pending_login(visit))
        text = visit.t("passkey.refused")
        values: dict[str, Any] = {"next": target, "kept": kept, "error": None, "problem": text, "email": ""}
        return visit.page("sign_in.html", status=error.status, **values)
    return next_step(visit, data, target, kept, pending_login(visit)) or entered(visit, target, kept)


def restore(visit: Visit) -> Response:
    """Takes back the deletion of the account."""
    target = own_path(str(visit.form.get("next", "/")))
    visit.session.open("/api/users/me/restore", {"restore_ticket": _ticket(visit)})
    return link_login(visit, pending_login(visit)) or visit.go(target)


def show_step_up(visit: Visit) -> Response:
    """Asks for a factor, for whoever comes by a link."""
    target = own_path(visit.query.get("next", "/security"))
    factors = visit.get("/api/auth/mfa")
    factor = "totp" if factors["totp"] else "passkey" if factors["passkeys"] else "password"
    return visit.page("step_up.html", next=target, kept=[], sent=False, factor=factor, error=None)


def step_up(visit: Visit) -> Response:
    """Confirms who one is, and goes on with what wanted that."""
    target, kept = own_path(str(visit.form.get("next", "/"))), kept_fields(visit)
    password, credential = str(visit.form.get("secret_password", "")), credential_of(visit)
    proof = {"credential": credential} if credential else {"password": password} if password else code_fields(visit)
    try:
        visit.api.call("POST", "/api/auth/step-up", proof)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        factor = str(visit.form.get("factor", ""))
        return visit.page(
            "step_up.html", status=error.status, next=target, kept=kept, sent=bool(kept), factor=factor, error=error
        )
    return entered(visit, target, kept)


def _ticket(visit: Visit) -> str:
    return str(visit.form.get("secret_ticket", ""))


def _factors(visit: Visit) -> list[str]:
    return [factor for factor in FACTORS if factor in visit.form.getlist("factor")]


routes = [
    route("/sign-in/code", send_code, "POST", public=True),
    route("/sign-in/passkey", send_passkey, "POST", public=True),
    route("/sign-in/restore", restore, "POST", public=True),
    route("/step-up", show_step_up),
    route("/step-up", step_up, "POST"),
]
