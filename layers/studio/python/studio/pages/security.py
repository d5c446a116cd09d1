"""What protects the account: second factors, passkeys, and the devices that are signed in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.qr_code import qr_code
from studio.sign_in_steps import credential_of
from studio.visit import Visit

PAGE = "/security"
SHOWN_HERE = (401, 404, 409, 422, 429)


def show(visit: Visit) -> Response:
    """Factors and devices."""
    return _page(visit)


def begin_totp(visit: Visit) -> Response:
    """Begins to set up an authenticator app."""
    try:
        setup = visit.api.call("POST", "/api/auth/mfa/totp", {}).data
    except ApiError as error:
        return _refused(visit, error)
    return _setup_page(visit, str(setup["secret"]), str(setup["otpauth_url"]))


def confirm_totp(visit: Visit) -> Response:
    """Confirms the app by a code, and shows the recovery codes, this once."""
    code = "".join(str(visit.form.get("secret_code", "")).split())
    try:
        made = visit.api.call("POST", "/api/auth/mfa/totp/confirm", {"code": code}).data
    except ApiError as error:
        if error.status not in (401, 422, 429):
            raise
        secret, url = str(visit.form.get("secret_key", "")), str(visit.form.get("secret_url", ""))
        return _setup_page(visit, secret, url, error)
    return _codes_page(visit, made["recovery_codes"])


def remove_totp(visit: Visit) -> Response:
    """Removes the authenticator app."""
    return _change(visit, "DELETE", "/api/auth/mfa/totp")


def new_codes(visit: Visit) -> Response:
    """Makes new recovery codes and shows them, this once."""
    try:
        made = visit.api.call("POST", "/api/auth/mfa/recovery-codes", {}).data
    except ApiError as error:
        return _refused(visit, error)
    return _codes_page(visit, made["recovery_codes"])


def new_passkey(visit: Visit) -> Response:
    """The page on which the browser makes a passkey."""
    options = visit.api.call("POST", "/api/auth/passkeys/register/options", {}).data
    return visit.page("passkey_new.html", options=json.dumps(options))


def add_passkey(visit: Visit) -> Response:
    """Keeps the passkey that the browser has made."""
    body = {"credential": credential_of(visit), "name": str(visit.form.get("name", "")).strip() or "Passkey"}
    try:
        added = visit.api.call("POST", "/api/auth/passkeys/register/verify", body).data
    except ApiError as error:
        return _refused(visit, error)
    return _codes_page(visit, added["recovery_codes"]) if added["recovery_codes"] else visit.go(PAGE)


def remove_passkey(visit: Visit) -> Response:
    """Removes a passkey."""
    return _change(visit, "DELETE", f"/api/auth/passkeys/{visit.part('passkey_id')}")


def end_session(visit: Visit) -> Response:
    """Signs out one device."""
    return _change(visit, "DELETE", f"/api/auth/sessions/{visit.part('session_id')}")


def end_other_sessions(visit: Visit) -> Response:
    """Signs out all other devices."""
    return _change(visit, "DELETE", "/api/auth/sessions")


def _change(visit: Visit, method: str, path: str) -> Response:
    try:
        visit.api.call(method, path)
    except ApiError as error:
        return _refused(visit, error)
    return visit.go(PAGE)


def _refused(visit: Visit, error: ApiError) -> Response:
    """The page with what the API refused. What ended the session, or wants a factor first, is not for this page."""
    if error.status not in SHOWN_HERE or error.message.startswith("The access token"):
        raise error
    return _page(visit, error)


def _page(visit: Visit, error: ApiError | None = None) -> Response:
    factors, sessions = visit.api.get_together(("/api/auth/mfa", {}), ("/api/auth/sessions", {}))
    values: dict[str, Any] = {"factors": factors, "sessions": sessions["items"], "error": error}
    return visit.page("security.html", status=error.status if error else 200, **values)


def _setup_page(visit: Visit, secret: str, url: str, error: ApiError | None = None) -> Response:
    groups = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    status = error.status if error else 200
    code = qr_code(url)
    return visit.page("totp_setup.html", status=status, secret=secret, groups=groups, url=url, code=code, error=error)


def _codes_page(visit: Visit, codes: list[str]) -> Response:
    text = "".join(f"{code}\n" for code in codes)
    return visit.page("recovery_codes.html", codes=codes, file=f"data:text/plain;charset=utf-8,{quote(text)}")


routes = [
    route(PAGE, show),
    route("/security/totp", begin_totp, "POST"),
    route("/security/totp/confirm", confirm_totp, "POST"),
    route("/security/totp/remove", remove_totp, "POST"),
    route("/security/recovery-codes", new_codes, "POST"),
    route("/security/passkeys/new", new_passkey, "POST"),
    route("/security/passkeys", add_passkey, "POST"),
    route("/security/passkeys/{passkey_id}/remove", remove_passkey, "POST"),
    route("/security/sessions/end-others", end_other_sessions, "POST"),
    route("/security/sessions/{session_id}/end", end_session, "POST"),
]
