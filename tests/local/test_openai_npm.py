"""A second SDK of the same protocol against `/v1`: npm's `openai`, unmodified.

This test needs Node.js and `npm ci --prefix tests/judges`; without them it is skipped with a message.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path

from PIL import Image

from infra.simulators.kit.samples import sample_png
from tests.lanes import need_node, not_run
from tests.local.client import AccountClient
from tests.local.conftest import Stack

JUDGES = Path(__file__).parents[1] / "judges"


def test_npms_sdk_makes_its_ordinary_calls(stack: Stack) -> None:
    node = need_node()
    if not (JUDGES / "node_modules/openai").exists():
        not_run("npm's openai is not installed (npm ci --prefix tests/judges)")
    person = AccountClient(stack.base_url)
    token = person.http.post("/api/tokens", json={"name": "npm", "scopes": ["all"]}).json()["data"]["token"]
    picture = base64.b64encode(sample_png(96, 64, 3)).decode()
    order = [node, str(JUDGES / "compatible.mjs"), f"{stack.base_url}/v1", token, picture]
    ran = subprocess.run(order, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    seen = json.loads(ran.stdout)
    assert {"auto", "local/writer", "local/canvas"} <= set(seen["models"])
    assert (seen["model"], seen["request"], seen["counted"]) == ("local/writer", True, True)
    for text in ("chat", "streamed", "response"):
        assert seen[text].endswith("(procedural)")
    assert (seen["events"][0], seen["events"][-1]) == ("response.created", "response.completed")
    for made in ("drawn", "edited"):
        assert Image.open(io.BytesIO(base64.b64decode(seen[made]))).size == (64, 64)
    assert (seen["large"], seen["spoken"], seen["content"]) == (2, "RIFF", "ftyp")
    assert seen["film"] == ["completed", "1", "128x128"]
    assert seen["refusals"] == [
        ["AuthenticationError", 401, "invalid_api_key", None, "invalid_request_error"],
        ["APIError", 402, "insufficient_quota", None, "insufficient_quota"],
        ["NotFoundError", 404, "model_not_found", "model", "invalid_request_error"],
        ["BadRequestError", 400, "invalid_value", "size", "invalid_request_error"],
        ["BadRequestError", 400, "unsupported_parameter", "tools", "invalid_request_error"],
        ["NotFoundError", 404, None, None, "invalid_request_error"],
    ]
    person.assert_books_balance()
