"""Errors in the functions' log, which CloudWatch Logs delivers, to the error tracker."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from atelier.error_reports.report_errors import report_errors
from atelier.wiring.error_reports import error_tracker


def handler(event: dict[str, Any], _context: object) -> None:
    """event: a subscription's batch of lines, compressed. A failure repeats it; each error is counted once."""
    batch = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    report_errors(batch["logEvents"], tracker=error_tracker)
