"""Organisations as outside clients form them."""

from __future__ import annotations

from typing import Any

from tests.local.client import AccountClient, link_in_mail, poll_until, verify_email
from tests.local.conftest import Stack
from tests.simulators.stripe.flows import Browser, card


def working_in(workspace_id: str) -> dict[str, str]:
    """The headers of a request that works in this workspace."""
    return {"Atelier-Workspace": workspace_id}


def create_organization(owner: AccountClient, name: str = "Atlas Films") -> str:
    """Creates an organisation; returns its id."""
    made = owner.http.post("/api/workspaces", json={"name": name})
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["workspace"]["id"])


def subscribe(stack: Stack, owner: AccountClient, workspace_id: str, tier: str = "studio") -> None:
    """Buys a plan for an organisation, whose owner's address is verified for that."""
    verify_email(stack.base_url, owner.email)
    order = {"tier": tier, "interval": "month", "success_url": stack.base_url, "cancel_url": stack.base_url}
    answer = owner.http.post("/api/billing/checkout", json=order, headers=working_in(workspace_id))
    assert answer.status_code == 201, answer.text
    Browser(answer.json()["data"]["url"]).press("Subscribe", **card())

    def credits() -> Any:
        return owner.http.get("/api/credits", headers=working_in(workspace_id)).json()["data"]["available"]

    poll_until(credits, lambda found: found > 0)


def invite(owner: AccountClient, workspace_id: str, email: str, role: str = "editor") -> None:
    """Invites a person by mail, and by a notification if there is an account."""
    invited = owner.http.post(f"/api/workspaces/{workspace_id}/invitations", json={"email": email, "role": role})
    assert invited.status_code == 201, invited.text


def join(stack: Stack, owner: AccountClient, workspace_id: str, person: AccountClient, role: str = "editor") -> str:
    """Invites a person by mail, who accepts; returns the person's id."""
    verify_email(stack.base_url, person.email)
    invite(owner, workspace_id, person.email, role)
    token = link_in_mail(stack.base_url, person.email, "/invitation").partition("?token=")[2]
    accepted = person.http.post(f"/api/invitations/{token}/accept")
    assert accepted.status_code in (200, 201), accepted.text
    return str(person.get("/api/auth/me").json()["data"]["user"]["id"])
