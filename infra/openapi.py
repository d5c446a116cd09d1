"""Write the served OpenAPI document from the routes in functions/: `.venv/bin/python -m infra.openapi [--check]`."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers/atelier/python"
TARGET = LAYER / "atelier/openapi.json"


def render_document() -> str:
    """The document made from the routes, ending in a newline."""
    sys.path.insert(0, str(LAYER))
    from atelier.http.api import Api
    from atelier.openapi import document

    apps = sorted([*ROOT.glob("functions/api/*/app.py"), *ROOT.glob("functions/webhooks/*/app.py")])
    apis = [runpy.run_path(str(app)).get("api") for app in apps]
    routes = [route for api in apis if isinstance(api, Api) for route in api.routes]
    return json.dumps(document(routes), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the document, or with --check compare the written one; returns 0 when it is up to date."""
    document = render_document()
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text() == document:
            return 0
        print("openapi.json is not what the routes say: run `.venv/bin/python -m infra.openapi`")
        return 1
    TARGET.write_text(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
