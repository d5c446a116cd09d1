"""Administrators of a local stack."""

from __future__ import annotations

import pyotp

from infra.local.stack_process import RunningStack
from infra.make_admin import FUNCTION, make_admin
from tests.local.client import AccountClient, verify_email


def create_administrator(base_url: str, running: RunningStack) -> AccountClient:
    """An administrator who has just proven a second factor."""
    person = AccountClient(base_url)
    verify_email(base_url, person.email)
    functions = running.aws().client("lambda")
    assert make_admin(person.email, running.resource(FUNCTION), functions=functions) == 0
    set_up = person.http.post("/api/auth/mfa/totp")
    assert set_up.status_code == 201, set_up.text
    code = pyotp.TOTP(set_up.json()["data"]["secret"]).now()
    confirmed = person.http.post("/api/auth/mfa/totp/confirm", json={"code": code})
    assert confirmed.status_code == 200, confirmed.text
    return person
