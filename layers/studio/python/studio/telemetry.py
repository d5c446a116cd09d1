"""Log lines, as JSON on the standard output, which Lambda sends to the log group."""

from __future__ import annotations

import json
from typing import Any


def log_line(level: str, message: str, **facts: Any) -> None:
    """Writes one line. A line of level INFO never contains what somebody wrote, a token or a query."""
    line = {"level": level, "message": message, "service": "studio", **facts}
    print(json.dumps(line, separators=(",", ":"), ensure_ascii=False), flush=True)
