"""The task `make admin` runs, its command, and the store of the platform's administrators."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atelier.audit_log.model import PLATFORM_LOG, Origin
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.errors import AtelierError, Conflict, NotFound
from atelier.identity.platform_roles import LastAdministrator, grant_platform_role, revoke_platform_role
from atelier.wiring import audit_log, identity
from infra.make_admin import make_admin
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, create_person
from tests.invoke import load_function


def made(email: str) -> dict[str, Any]:
    result: dict[str, Any] = load_function("tasks/make_admin").handler({"email": email}, None)
    return result


def role_of(person: Person) -> str:
    user = identity.accounts().user(person.user_id)
    assert user is not None
    return user.platform_role


def actions(log: str) -> list[tuple[str, str | None, str]]:
    page = audit_log.reads().page(log, EventFilter(action="platform_role."), None, 50)
    return [(each["action"], each["actor"], each["address"]) for each in page.events]


def revoke(person: Person, by: Person) -> str:
    """What is refused, "" when it was done."""
    try:
        origin = Origin(user_id=by.user_id, address="203.0.113.9")
        revoke_platform_role(person.user_id, origin, deps=identity.platform_role_deps(), now=system_clock())
    except AtelierError as error:
        return type(error).__name__
    return ""


def test_the_first_administrator_is_made_once_however_often_it_is_asked_for(cloud: AwsResources) -> None:
    ada = create_person("ada")
    assert made("Ada@Example.com") == made("ada@example.com") == {"user_id": ada.user_id, "second_factors": []}
    assert role_of(ada) == "admin"
    assert identity.platform_roles().administrators() == (ada.user_id,)
    assert actions(PLATFORM_LOG) == actions(ada.user_id) == [("platform_role.granted", None, "")]


def test_an_unknown_or_unverified_address_makes_no_administrator(cloud: AwsResources) -> None:
    eve = create_person("eve", verified=False)
    with pytest.raises(NotFound):
        made("nobody@example.com")
    with pytest.raises(Conflict, match="verified"):
        made(eve.email)
    assert role_of(eve) == "user"
    assert actions(PLATFORM_LOG) == []


def test_the_role_is_taken_by_another_administrator_and_never_from_the_last(cloud: AwsResources) -> None:
    ada, bob = create_person("ada"), create_person("bob")
    made(ada.email)
    grant_platform_role(bob.user_id, Origin(ada.user_id), deps=identity.platform_role_deps(), now=system_clock())
    assert revoke(ada, ada) == Conflict.__name__
    assert revoke(bob, ada) == ""
    assert revoke(bob, ada) == ""
    assert revoke(ada, bob) == LastAdministrator.__name__
    assert (role_of(ada), role_of(bob)) == ("admin", "user")
    # The person sees who did it, and not from where.
    assert actions(bob.user_id)[0] == ("platform_role.revoked", ada.user_id, "")
    assert actions(PLATFORM_LOG)[0] == ("platform_role.revoked", ada.user_id, "203.0.113.9")


def test_two_administrators_who_take_each_others_role_leave_one(cloud: AwsResources) -> None:
    ada, bob = create_person("ada"), create_person("bob")
    made(ada.email)
    made(bob.email)
    with ThreadPoolExecutor(2) as pool:
        refused = list(pool.map(lambda pair: revoke(*pair), [(ada, bob), (bob, ada)]))
    assert sorted(refused) == ["", LastAdministrator.__name__]
    assert sorted([role_of(ada), role_of(bob)]) == ["admin", "user"]
    assert len(identity.platform_roles().administrators()) == 1


class Functions:
    """Lambda's responses about the function, which it calls."""

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "atelier-make-admin"
        try:
            found = load_function("tasks/make_admin").handler(json.loads(Payload), None)
        except Exception as error:
            failure = json.dumps({"errorMessage": str(error)}).encode()
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(failure)}
        return {"Payload": io.BytesIO(json.dumps(found).encode())}


def test_the_command_says_what_was_done_and_what_is_missing(
    cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = create_person("ada")
    assert make_admin(ada.email, "atelier-make-admin", functions=Functions()) == 0
    printed = capsys.readouterr().out
    assert ada.user_id in printed
    assert "second factor" in printed
    assert make_admin("nobody@example.com", "atelier-make-admin", functions=Functions()) == 1
    assert "no account with this e-mail" in capsys.readouterr().err
