"""Write the served OpenAPI document from the routes in functions/, and docs/events.md from the catalogue of events:
`.venv/bin/python -m infra.openapi [--check]`."""

from __future__ import annotations

import json
import runpy
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers/atelier/python"
TARGET = LAYER / "atelier/openapi.json"
EVENTS_TARGET = ROOT / "docs/events.md"
EVENTS_HEAD = """# Events

Written by `.venv/bin/python -m infra.openapi` from `atelier/events/catalogue.py`; `make check` compares the two.

Atelier publishes these events on its event bus (EventBridge). An entry's `source` and `detail-type` are the source and
the type below, and its `detail` is the payload. An event may come more than once, with the same `id`, and events may
come in another order than they occurred. A new field does not change the version, so ignore the fields that you do not
know.
"""


def render_document() -> str:
    """The document made from the routes, ending in a newline."""
    sys.path.insert(0, str(LAYER))
    from atelier.http.api import Api
    from atelier.openapi import document

    apps = sorted([*ROOT.glob("functions/api/*/app.py"), *ROOT.glob("functions/webhooks/*/app.py")])
    apis = [runpy.run_path(str(app)).get("api") for app in apps]
    routes = [route for api in apis if isinstance(api, Api) for route in api.routes]
    # A value a line, so that a change shows what changed; without indentation, which was a quarter of a megabyte.
    return json.dumps(document(routes), indent=0, ensure_ascii=False) + "\n"


def render_events() -> str:
    """docs/events.md, made from the catalogue of events."""
    sys.path.insert(0, str(LAYER))
    from atelier.events.catalogue import EVENTS
    from atelier.openapi import event_schema

    parts = [EVENTS_HEAD]
    for event in EVENTS:
        schema = event_schema(event)
        types = ", ".join(f"`{name}`" for name in event.types)
        parts.append(f"## {event.__name__}\n\n{textwrap.fill(schema['description'], 120)}\n")
        parts.append(f"Types: {types}.  \nSource: `{event.source}`. Version: {event.version}.\n")
        parts.append("| field | type | meaning |\n|---|---|---|")
        for name, field in schema["properties"].items():
            kinds = " or ".join(each["type"] for each in field.get("anyOf", [field]))
            parts.append(f"| `{name}` | {kinds} | {field['description']} |")
        parts.append("")
    return "\n".join(parts)


def main() -> int:
    """Write both files, or with --check compare the written ones; returns 0 when they are up to date."""
    rendered = {TARGET: render_document(), EVENTS_TARGET: render_events()}
    if "--check" not in sys.argv[1:]:
        for path, text in rendered.items():
            path.write_text(text)
        return 0
    stale = [path.name for path, text in rendered.items() if not path.exists() or path.read_text() != text]
    if stale:
        print(f"{', '.join(stale)}: not what the code says: run `.venv/bin/python -m infra.openapi`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
