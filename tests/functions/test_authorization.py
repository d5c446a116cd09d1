"""Every route of every API function names the permission that it needs."""

from __future__ import annotations

import pytest

from atelier.http.api import Api, Route
from atelier.identity.permissions import WEAKEST
from tests.invoke import ROOT, load_function

FUNCTIONS = sorted(
    str(path.parent.relative_to(ROOT / "functions")) for path in (ROOT / "functions/api").rglob("app.py")
)
PUBLIC = {"api/auth", "api/status"}
# Public routes of functions whose other routes need a permission.
PUBLIC_PATHS = {"/api/billing/tiers"}


def routes(folder: str) -> list[Route]:
    api = vars(load_function(folder))["api"]
    assert isinstance(api, Api)
    assert api.routes
    return api.routes


@pytest.mark.parametrize("folder", FUNCTIONS)
def test_every_route_is_public_or_names_a_known_permission(folder: str) -> None:
    permissions = {route.permission for route in routes(folder) if route.path not in PUBLIC_PATHS}
    assert permissions <= ({None} if folder in PUBLIC else set(WEAKEST))


def test_every_permission_is_used_by_a_route() -> None:
    assert {route.permission for folder in FUNCTIONS for route in routes(folder)} - {None} == set(WEAKEST)
