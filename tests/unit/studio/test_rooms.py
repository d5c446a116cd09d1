"""Each path of Studio is answered by the module that has it, and a request imports no other."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from starlette.routing import Match, Route

from studio import pages
from studio.rooms import ROOMS, beginning_of, rooms

ROOT = Path(__file__).parents[3]
IMPORTED = """
import json, sys
from studio.application import handler
handler(json.load(open(sys.argv[1])), None)
print(json.dumps([name for name in sys.modules if name.startswith("studio.pages.")]))
"""


def routes_of_all_modules() -> Iterator[tuple[str, Route]]:
    for module in pkgutil.iter_modules(pages.__path__):
        for route in import_module(f"studio.pages.{module.name}").routes:
            yield module.name, route


def test_each_route_of_a_module_is_found_by_the_beginning_of_its_path() -> None:
    missing = [
        (name, route.path) for name, route in routes_of_all_modules() if name not in ROOMS[beginning_of(route.path)]
    ]
    assert missing == [], "name these in studio/rooms.py"


def test_each_route_is_reached() -> None:
    for _, route in routes_of_all_modules():
        method = min(route.methods or ())
        scope = {"type": "http", "path": route.path.replace("{", "").replace("}", ""), "method": method}
        found = [match for room in rooms() for match in [room.matches(scope)] if match[0] is Match.FULL]
        assert found[0][1]["endpoint"] is route.endpoint, route.path


def test_a_path_that_is_asked_for_otherwise_is_no_other_page() -> None:
    scope = {"type": "http", "path": "/sign-in", "method": "PUT"}
    assert {room.matches(scope)[0] for room in rooms()} == {Match.NONE, Match.PARTIAL}


def test_a_request_imports_the_modules_of_its_room_alone() -> None:
    command = [sys.executable, "-c", IMPORTED, str(ROOT / "events/studio/sign_in.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "layers/studio/python")
    assert json.loads(ran.stdout.splitlines()[-1]) == ["studio.pages.account"]
