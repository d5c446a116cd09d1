"""People with accounts, who call the functions, and organisations with members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from types import ModuleType
from typing import Any

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX, MemberItem, decode_member
from atelier.clock import system_clock
from atelier.identity.model import Credentials, Device, new_user, open_session
from atelier.identity.opening import Opening
from atelier.identity.permissions import Role
from atelier.ledger.model import GrantSource
from atelier.ledger.post import grant
from atelier.mails.links import Link
from atelier.wiring import identity, ledger, workshops
from atelier.wiring.mails import link_key
from tests.functions.responses import Reply, invoke_app, success_data
from tests.invoke import EVENTS, complete_event, with_request


@dataclass(frozen=True)
class Person:
    """A person with an account and an open session."""

    email: str
    user_id: str
    session_id: str
    workspace_id: str

    @property
    def claims(self) -> dict[str, Any]:
        """What the authorizer says of the person's access token."""
        return {
            "user_id": self.user_id,
            "session_id": self.session_id,
            "workspace_id": self.workspace_id,
            "expires_at": 2**40,
        }


def create_person(name: str, *, verified: bool = True, mfa: bool = False) -> Person:
    """Creates an account. mfa: whether the session has proven a second factor."""
    now = system_clock()
    ledger.wallets()
    user, workspace = new_user(f"{name}@example.com", name.title(), now)
    session, _ = open_session(user.id, workspace.id, Device("tests", "203.0.113.7"), now)
    session = replace(session, mfa_at=now) if mfa else session
    identity.accounts().create(
        Credentials(user.email, user.id, workspace.id, "no hash"),
        replace(user, email_verified=verified, email_verified_at=now if verified else None),
        workspace,
        Opening(session),
    )
    return Person(user.email, user.id, session.id, workspace.id)


def give_credits(person: Person, credits: int = 100) -> None:
    """Gives the person's workspace credits that it could have bought."""
    key, now = f"grant#{person.workspace_id}", system_clock()
    grant(person.workspace_id, key, GrantSource.PURCHASE, credits, deps=workshops.advance_deps().wallets, now=now)


def create_administrator(name: str) -> Person:
    """Creates an administrator of the platform, whose session has just proven a second factor."""
    person = create_person(name, mfa=True)
    identity.make_administrator(person.email, system_clock())
    UserItem(person.user_id, PROFILE).update([UserItem.totp.set("fct_example")])
    return person


def call(app: ModuleType, person: Person, request: str, body: Any = None, **headers: str) -> Reply:
    """Sends a request as a person."""
    sent = with_request(complete_event(EVENTS / "api/workspaces"), request, body=body, headers=headers)
    sent["requestContext"]["authorizer"] = {"lambda": person.claims}
    return invoke_app(app, sent)


def create_organization(app: ModuleType, owner: Person, name: str = "Atlas Films", **fields: Any) -> dict[str, Any]:
    """Creates an organisation; returns its view."""
    view: dict[str, Any] = success_data(call(app, owner, "POST /api/workspaces", {"name": name, **fields}))["workspace"]
    return view


def set_tier(workspace_id: str, tier: str) -> None:
    """Gives a workspace a tier for a month, as a subscription does."""
    with transaction() as write:
        put_tier(write, workspace_id, tier, system_clock() + timedelta(days=30), part="wallet")


def invitation_token(workspace_id: str, invitation_id: str) -> str:
    """The token of an invitation's link, as it stands in the mail."""
    return link_key().token(Link("invitation", workspace_id, f"lnk_{invitation_id[4:]}"))


def invite(app: ModuleType, owner: Person, workspace_id: str, email: str, role: str = "editor") -> str:
    """Invites an address; returns the token of the mail's link."""
    body = {"email": email, "role": role}
    made = success_data(call(app, owner, f"POST /api/workspaces/{workspace_id}/invitations", body))["invitation"]
    return invitation_token(workspace_id, made["id"])


def join(app: ModuleType, owner: Person, workspace_id: str, person: Person, role: str = "editor") -> None:
    """Invites a person, who accepts."""
    token = invite(app, owner, workspace_id, person.email, role)
    success_data(call(app, person, f"POST /api/invitations/{token}/accept"))


def roles(workspace_id: str) -> dict[str, Role]:
    """The stored members with their roles."""
    items = MemberItem.query(workspace_id, MemberItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
    return {member.user_id: member.role for member in map(decode_member, items)}
