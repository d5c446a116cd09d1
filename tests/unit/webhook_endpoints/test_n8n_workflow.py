"""The workflow for n8n that docs/n8n.md describes: its nodes are connected, and its code verifies what is signed."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atelier.webhook_endpoints.sign import body_of, new_secret, signed_headers
from tests.lanes import need_node

WORKFLOW: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs/n8n_workflow.json").read_text("utf-8"))
NODES = {node["name"]: node for node in WORKFLOW["nodes"]}
BODY = body_of("generation.succeeded", "2026-11-20T21:04:05.123Z", {"generation_id": "gen_A", "prompt": "ü"})
# What n8n gives to a Code node: the items, the environment, and the modules that it allows.
RUN = """
const [code, item, secret] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const run = new Function('$input', '$env', 'require', code);
const made = run({ first: () => item }, { ATELIER_WEBHOOK_SECRET: secret }, require);
process.stdout.write(JSON.stringify(made[0].json));
"""


def verified(headers: dict[str, str], body: str, secret: str) -> dict[str, Any]:
    """What the node makes of a request with these headers and this body."""
    binary = {"data": {"data": base64.b64encode(body.encode()).decode(), "mimeType": "application/json"}}
    sent = json.dumps(
        [NODES["Verify"]["parameters"]["jsCode"], {"json": {"headers": headers}, "binary": binary}, secret]
    )
    ran = subprocess.run([need_node(), "-e", RUN], input=sent, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    made: dict[str, Any] = json.loads(ran.stdout)
    return made


def test_every_connection_leads_from_a_node_to_a_node() -> None:
    for name, outputs in WORKFLOW["connections"].items():
        assert name in NODES
        assert {link["node"] for branch in outputs["main"] for link in branch} <= NODES.keys()


def test_a_signed_event_is_verified_with_either_secret() -> None:
    old, newest = new_secret(), new_secret()
    headers = signed_headers("whd_A", BODY, [newest, old], datetime.now(UTC))
    for secret in (old, newest):
        assert verified(headers, BODY, secret) == {"verified": True, "id": "whd_A", "event": json.loads(BODY)}


def test_what_is_not_signed_is_not_verified() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    headers = signed_headers("whd_A", BODY, [secret], now)
    late = signed_headers("whd_A", BODY, [secret], now - timedelta(minutes=6))
    for case in (
        verified(headers, BODY + " ", secret),
        verified({**headers, "webhook-id": "whd_B"}, BODY, secret),
        verified(headers, BODY, new_secret()),
        verified(headers, BODY, ""),
        verified(late, BODY, secret),
        verified({}, BODY, secret),
    ):
        assert case == {"verified": False}
