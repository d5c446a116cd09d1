"""npm's `standardwebhooks`, unmodified, verifies what is signed.

This test needs Node.js and `npm ci --prefix tests/judges`; without them it is skipped with a message.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atelier.webhook_endpoints.sign import body_of, new_secret, signed_headers
from tests.lanes import need_node, not_run

JUDGES = Path(__file__).parents[2] / "judges"
BODY = body_of("generation.succeeded", "2026-11-20T21:04:05.123Z", {"prompt": "ü \U0001f600 \ud83d", "n": 1})


def judged(webhooks: list[dict[str, Any]]) -> list[Any]:
    """What npm's library says of each of these webhooks."""
    node = need_node()
    if not (JUDGES / "node_modules/standardwebhooks").exists():
        not_run("npm's standardwebhooks is not installed (npm ci --prefix tests/judges)")
    order = [node, str(JUDGES / "webhooks.mjs")]
    ran = subprocess.run(order, input=json.dumps(webhooks), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    results: list[Any] = json.loads(ran.stdout)
    return results


def test_npms_library_verifies_either_secret_and_refuses_a_change() -> None:
    old, newest = new_secret(), new_secret()
    now = datetime.now(UTC)
    headers = signed_headers("whd_A", BODY, [newest, old], now)
    late = signed_headers("whd_A", BODY, [newest], now - timedelta(minutes=6))
    content, refused = json.loads(BODY), "WebhookVerificationError"
    assert judged(
        [
            {"secret": newest, "headers": headers, "body": BODY},
            {"secret": old, "headers": headers, "body": BODY},
            {"secret": new_secret(), "headers": headers, "body": BODY},
            {"secret": newest, "headers": headers, "body": BODY.replace("1", "2")},
            {"secret": newest, "headers": {**headers, "webhook-id": "whd_B"}, "body": BODY},
            {"secret": newest, "headers": late, "body": BODY},
        ]
    ) == [content, content, refused, refused, refused, refused]
