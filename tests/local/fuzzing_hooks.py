"""What schemathesis loads before it reads the served document: the account that it acts for, and what it leaves out."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import httpx
import schemathesis

# An access token lives ten minutes; a busy machine needs longer for a run.
TOKEN_SECONDS = 240
# The operation with which the workspace's header is tried, for all.
TRIED_WITH_WORKSPACE = "get_api_credits"
# How many times one rule of a schema is broken: its boundary is the same each time.
BROKEN_MAX = 2
_broken: Counter[tuple[object, ...]] = Counter()


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, document: dict[str, Any]) -> None:
    """Takes the workspace's header from all operations but one. A value that schemathesis makes up is nobody's
    workspace, and a request for such a one is refused before its body is looked at."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["operationId"] != TRIED_WITH_WORKSPACE:
                kept = [each for each in operation.get("parameters", []) if each["name"] != "Atelier-Workspace"]
                operation["parameters"] = kept


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Of the values of a wrong type for the same field of an operation, a few are enough."""
    tried = getattr(getattr(case.meta, "phase", None), "data", None)
    if getattr(tried, "scenario", None) != "incorrect_type":
        return True
    key = (case.operation.label, tried.parameter_location, tried.location, tried.parameter)
    _broken[key] += 1
    return _broken[key] <= BROKEN_MAX


@schemathesis.auth(refresh_interval=TOKEN_SECONDS, retry_on=[])
class Account:
    """The account that tries the operations. It signs in anew before its token ends."""

    def get(self, case: schemathesis.Case, _context: schemathesis.AuthContext) -> str:
        body = {"email": os.environ["FUZZING_EMAIL"], "password": os.environ["FUZZING_PASSWORD"]}
        url = f"{os.environ['FUZZING_URL']}/api/auth/login"
        answer = httpx.post(url, json={**body, "token_delivery": "body"}, timeout=60)
        return str(answer.raise_for_status().json()["data"]["access_token"])

    def set(self, case: schemathesis.Case, data: str, _context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
