"""The address and the password of the person's account, and the pages that links in mails lead to.

Opening a link changes nothing by itself: programs that look at mails open links too. The page has a button."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.external_logins import NAMES
from studio.visit import Visit

PAGE = "/mailbox"
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (400, 404, 409, 422, 429)
# Links that are opened by one button: the page's path → its texts, and the API's path.
LINKS = {
    "/verify": ("verify", "/api/auth/verify-email"),
    "/confirm-email": ("confirm_email", "/api/auth/change-email/confirm"),
    "/undo-email-change": ("undo_email_change", "/api/auth/change-email/undo"),
}


def show_link(visit: Visit) -> Response:
    """The page that a link of a mail leads to, before its button is pressed."""
    return _link_page(visit, visit.query.get("token", ""))


def open_link(visit: Visit) -> Response:
    """Does what the link is for."""
    token, (_, path) = str(visit.form.get("token", "")), LINKS[visit.path]
    try:
        data = visit.api.call("POST", path, {"token": token}, headers=_key(visit)).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _link_page(visit, token, status=error.status, error=error)
    visit.session.set_unverified(False)
    return _link_page(visit, "", done=data["email"])


def show_forgot(visit: Visit) -> Response:
    """The form that asks for a link which sets a new password."""
    return visit.page("mailbox_forgot.html", error=None, email="", sent=False)


def forgot(visit: Visit) -> Response:
    """Asks for the link. The page is the same whether the address has an account."""
    email = str(visit.form.get("email", ""))
    try:
        visit.api.call("POST", "/api/auth/forgot-password", {"email": email}, headers=_key(visit))
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return visit.page("mailbox_forgot.html", status=error.status, error=error, email=email, sent=False)
    return visit.page("mailbox_forgot.html", error=None, email=email, sent=True)


def show_reset(visit: Visit) -> Response:
    """The form for the new password."""
    return _reset_page(visit, visit.query.get("token", ""))


def reset(visit: Visit) -> Response:
    """Sets the new password."""
    token = str(visit.form.get("token", ""))
    body = {"token": token, "password": str(visit.form.get("secret_password", ""))}
    try:
        answer = visit.api.call("POST", "/api/auth/reset-password", body, headers=_key(visit)).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _reset_page(visit, token, status=error.status, error=error)
    return _reset_page(visit, "", done=True, logins=answer["identities"])


def show(visit: Visit) -> Response:
    """The account's address and password."""
    return _page(visit)


def send_again(visit: Visit) -> Response:
    """Has the mail that verifies the address sent again."""
    return _change(visit, "verify-email/resend", {}, "code")


def enter_code(visit: Visit) -> Response:
    """Verifies the address by the code that was sent to it."""
    return _change(visit, "verify-email", {"code": _code(visit)}, "code", done="verified")


def change_email(visit: Visit) -> Response:
    """Asks for another address."""
    return _change(visit, "change-email", {"email": str(visit.form.get("email", ""))}, "email", done="email_sent")


def enter_email_code(visit: Visit) -> Response:
    """Confirms the other address by the code that was sent to it."""
    return _change(visit, "change-email/confirm", {"code": _code(visit)}, "email", done="email_changed")


def change_password(visit: Visit) -> Response:
    """Sets another password."""
    names = {"current": "secret_current", "new": "secret_new"}
    body = {name: str(visit.form.get(field, "")) for name, field in names.items()}
    return _change(visit, "change-password", body, "password", done="password_changed")


def _change(visit: Visit, path: str, body: dict[str, str], part: str, *, done: str = "sent") -> Response:
    """One of the page's forms: done, or shown again with what is wrong in its part of the page."""
    try:
        visit.api.call("POST", f"/api/auth/{path}", body, headers=_key(visit))
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _page(visit, status=error.status, part=part, error=error, email=body.get("email", ""))
    return visit.go(f"{PAGE}?done={done}")


def _page(
    visit: Visit, *, status: int = 200, part: str = "", error: ApiError | None = None, email: str = ""
) -> Response:
    user = visit.get("/api/auth/me")["user"]
    visit.session.set_unverified(not user["email_verified"])
    errors = {**dict.fromkeys(("code", "email", "password")), part: error}
    done = visit.query.get("done", "")
    return visit.page("mailbox.html", status=status, user=user, errors=errors, email=email, done=done)


def _link_page(visit: Visit, token: str, *, status: int = 200, **values: Any) -> Response:
    name, _ = LINKS[visit.path]
    return visit.page(
        "mailbox_link.html", status=status, name=name, token=token, **{"error": None, "done": None, **values}
    )


def _reset_page(visit: Visit, token: str, *, status: int = 200, **values: Any) -> Response:
    shown: dict[str, Any] = {"error": None, "done": False, "logins": [], "names": NAMES, **values}
    return visit.page("mailbox_reset.html", status=status, token=token, **shown)


def _code(visit: Visit) -> str:
    """The code without the spaces that people type."""
    return "".join(str(visit.form.get("code", "")).split())


def _key(visit: Visit) -> dict[str, str]:
    return {"Idempotency-Key": visit.form_key}


routes = [
    *(route(path, show_link, public=True) for path in LINKS),
    *(route(path, open_link, "POST", public=True) for path in LINKS),
    route("/forgot-password", show_forgot, public=True),
    route("/forgot-password", forgot, "POST", public=True),
    route("/reset-password", show_reset, public=True),
    route("/reset-password", reset, "POST", public=True),
    route(PAGE, show),
    route(f"{PAGE}/code", enter_code, "POST"),
    route(f"{PAGE}/send", send_again, "POST"),
    route(f"{PAGE}/email", change_email, "POST"),
    route(f"{PAGE}/email-code", enter_email_code, "POST"),
    route(f"{PAGE}/password", change_password, "POST"),
]
