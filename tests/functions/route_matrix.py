"""The table of routes, ROUTES.md: which permission each route needs, and who has it. `test_route_matrix.py` compares it
with the routes, and sends each of its cells through the handlers.

    PYTHONPATH=layers/atelier/python .venv/bin/python -m tests.functions.route_matrix

writes it anew; read in its diff who may do more, or less, than before."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from atelier.http.api import Api, Route
from atelier.identity.permissions import PLATFORM_PERMISSIONS, WEAKEST, Role, permits
from atelier.identity.scopes import EXCLUDED_PERMISSIONS
from tests.invoke import ROOT, load_function

TABLE = Path(__file__).with_name("ROUTES.md")
ROLES = tuple(Role)
HEAD = """# Who may call which route

Written by `PYTHONPATH=layers/atelier/python .venv/bin/python -m tests.functions.route_matrix`; a test compares it with
the routes, and sends a request for each cell. A role that is marked may call the route; who is no member is answered as
if there were no such workspace. Token: an API token with the permission as its scope may. Fresh: a factor must have
been proven within ten minutes (*factor*: of accounts with a second factor; *always*: of all). The permissions
`platform.…` are those of the platform's administrators, who need a second factor for each; no role or token has them.

| route | permission | owner | admin | editor | member | viewer | token | fresh |
|---|---|---|---|---|---|---|---|---|
"""
FRESH = {False: "", True: "factor", "always": "always"}


@cache
def routes() -> dict[str, dict[str, Route]]:
    """Function → `METHOD /path` → route, of every function that declares routes."""
    found: dict[str, dict[str, Route]] = {}
    for path in sorted((ROOT / "functions").rglob("app.py")):
        if "Api(" in path.read_text("utf-8"):
            folder = str(path.parent.relative_to(ROOT / "functions"))
            api = vars(load_function(folder))["api"]
            assert isinstance(api, Api)
            assert api.routes
            found[folder] = {f"{route.method} {route.path}": route for route in api.routes}
    return found


def row(name: str, route: Route) -> str:
    """The row of a route."""
    if route.permission is None:
        return f"| `{name}` | public | | | | | | | |"
    if route.permission in PLATFORM_PERMISSIONS:
        return f"| `{name}` | {route.permission} | | | | | | | {FRESH[route.step_up]} |"
    marks = ["●" if permits(role, route.permission) else "" for role in ROLES]
    by_token = route.permission not in EXCLUDED_PERMISSIONS and not route.step_up
    cells = [f"`{name}`", route.permission, *marks, "●" if by_token else "", FRESH[route.step_up]]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The whole table."""
    rows = [row(name, route) for declared in routes().values() for name, route in declared.items()]
    return HEAD + "\n".join(sorted(rows)) + "\n"


def stored_rows() -> dict[str, list[str]]:
    """`METHOD /path` → the cells of its row in ROUTES.md."""
    lines = TABLE.read_text("utf-8").removeprefix(HEAD).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def unused_permissions() -> set[str]:
    """The permissions that no route needs."""
    return WEAKEST.keys() - {route.permission for declared in routes().values() for route in declared.values()}


if __name__ == "__main__":
    TABLE.write_text(table(), "utf-8")
