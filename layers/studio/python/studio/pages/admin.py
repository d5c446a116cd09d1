"""The room of the platform's administrators: people, wallets, dead letters, health. The API decides who may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio.admin_forms import act, safe, status_of
from studio.api_client import ApiError
from studio.endpoints import route
from studio.visit import Visit

USERS_PER_PAGE = 25
ENTRIES_PER_PAGE = 10
# What the description of each alarm ends with; the address before the name is that of the repository.
RUNBOOK = re.compile(r" Runbook: \S*?([a-z_]+)\.md$")


def show_home(visit: Visit) -> Response:
    """Users, corrections that wait, and the queues of dead letters."""
    return _home(visit, None)


def show_user(visit: Visit) -> Response:
    """One user, and what can be done about the account."""
    return _user(visit, None)


def show_wallet(visit: Visit) -> Response:
    """The wallet of a workspace, with the form of a correction."""
    return _wallet(visit, None)


def find_wallet(visit: Visit) -> Response:
    """Goes to the wallet of the workspace that was written."""
    return visit.go(f"/admin/wallets/{safe(visit.query.get('workspace', ''))}")


def show_letters(visit: Visit) -> Response:
    """The dead letters of a queue."""
    return _letters(visit, None)


def show_health(visit: Visit) -> Response:
    """How the deployment is: what needs attention first, and the rest in a table."""
    health = visit.get("/api/admin/health")
    listed: list[dict[str, Any]] = health["alarms"] or []
    alarms = [_alarm(each) for each in listed]
    queues: list[dict[str, Any]] = health["queues"] or []
    return visit.page(
        "admin_health.html",
        health=health,
        firing=[each for each in alarms if each["state"] == "ALARM"],
        quiet=[each for each in alarms if each["state"] != "ALARM"],
        filled=[each for each in queues if each["messages"] or each["in_flight"]],
        empty_queues=[each for each in queues if not each["messages"] and not each["in_flight"]],
    )


def act_on_user(visit: Visit) -> Response:
    """Suspends an account, ends that, or signs the person out."""
    user, name = visit.part("user"), visit.part("act")
    body = {"reason": str(visit.form.get("reason", ""))} if name == "suspend" else {}
    return act(visit, f"/api/admin/users/{user}/{name}", body, f"/admin/users/{user}", _user)


def change_role(visit: Visit) -> Response:
    """Makes a user an administrator, or ends that."""
    user = visit.part("user")
    body = {"role": str(visit.form.get("role", ""))}
    return act(visit, f"/api/admin/users/{user}/platform-role", body, f"/admin/users/{user}", _user, method="PUT")


def act_on_wallet(visit: Visit) -> Response:
    """Corrects a wallet, freezes it, or ends that."""
    workspace, name = visit.part("workspace"), visit.part("act")
    body: dict[str, Any] = {} if name == "unfreeze" else {"reason": str(visit.form.get("reason", ""))}
    if name == "adjust":
        body["credits"] = str(visit.form.get("credits", ""))
    return act(visit, f"/api/admin/wallets/{workspace}/{name}", body, f"/admin/wallets/{workspace}", _wallet)


def end_escrow(visit: Visit) -> Response:
    """Gives the credits of an orphaned escrow back."""
    wallet = f"wallets/{visit.part('workspace')}"
    path = f"/api/admin/{wallet}/orphaned-escrows/{visit.part('payment')}/end"
    return act(visit, path, {"reason": str(visit.form.get("reason", ""))}, f"/admin/{wallet}", _wallet)


def decide_adjustment(visit: Visit) -> Response:
    """Approves or rejects a correction that waits."""
    path = f"/api/admin/adjustments/{visit.part('adjustment')}/{visit.part('act')}"
    return act(visit, path, {}, "/admin", _home)


def act_on_letters(visit: Visit) -> Response:
    """Sends dead letters again, those that were chosen or all; or drops the chosen ones."""
    queue, name = visit.part("queue"), str(visit.form.get("act", "redrive"))
    chosen = [str(id) for id in visit.form.getlist("id")]
    body: dict[str, Any] = {"ids": chosen} if chosen else {}
    if name == "drop":
        body = {"ids": chosen, "reason": str(visit.form.get("reason", ""))}
    path = f"/api/admin/dead-letters/{queue}/{'drop' if name == 'drop' else 'redrive'}"
    return act(visit, path, body, f"/admin/dead-letters/{queue}", _letters)


def _home(visit: Visit, error: ApiError | None) -> Response:
    email = visit.query.get("email", "")
    users, waiting, queues = visit.api.get_together(
        ("/api/admin/users", {"email": email, "limit": USERS_PER_PAGE, "cursor": visit.query.get("cursor", "")}),
        ("/api/admin/adjustments", {"state": "pending"}),
        ("/api/admin/dead-letters", {}),
    )
    visit.session.set_admin(True)
    return visit.page(
        "admin.html", status=status_of(error), email=email, users=users, waiting=waiting, queues=queues, error=error
    )


def _user(visit: Visit, error: ApiError | None) -> Response:
    found = visit.get(f"/api/admin/users/{visit.part('user')}")
    return visit.page("admin_user.html", status=status_of(error), found=found, user=found["user"], error=error)


def _wallet(visit: Visit, error: ApiError | None) -> Response:
    path = f"/api/admin/wallets/{visit.part('workspace')}"
    found, entries, orphaned = visit.api.get_together(
        (path, {}), (f"{path}/entries", {"limit": ENTRIES_PER_PAGE}), (f"{path}/orphaned-escrows", {})
    )
    return visit.page(
        "admin_wallet.html",
        status=status_of(error),
        wallet=found["wallet"],
        entries=entries,
        orphaned=orphaned,
        error=error,
        form=visit.form,
    )


def _letters(visit: Visit, error: ApiError | None) -> Response:
    queue = visit.part("queue")
    letters = visit.get(f"/api/admin/dead-letters/{queue}", limit=50)
    return visit.page("admin_letters.html", status=status_of(error), queue=queue, letters=letters, error=error)


def _alarm(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm, with what it says and the name of its runbook apart."""
    description = str(alarm["description"])
    found = RUNBOOK.search(description)
    return {**alarm, "says": RUNBOOK.sub("", description) or alarm["name"], "runbook": found[1] if found else ""}


routes = [
    route("/admin", show_home),
    route("/admin/health", show_health),
    route("/admin/users/{user}", show_user),
    route("/admin/users/{user}/platform-role", change_role, "POST"),
    route("/admin/users/{user}/{act}", act_on_user, "POST"),
    route("/admin/wallets", find_wallet),
    route("/admin/wallets/{workspace}", show_wallet),
    route("/admin/wallets/{workspace}/{act}", act_on_wallet, "POST"),
    route("/admin/wallets/{workspace}/escrows/{payment}/end", end_escrow, "POST"),
    route("/admin/adjustments/{adjustment}/{act}", decide_adjustment, "POST"),
    route("/admin/dead-letters/{queue}", show_letters),
    route("/admin/dead-letters/{queue}", act_on_letters, "POST"),
]
