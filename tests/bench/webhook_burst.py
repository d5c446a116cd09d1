"""Row 10: a burst of provider webhooks in random order, a fifth of them duplicates: verified, stored once, answered.

Run as a program: `python webhook_burst.py ours|stripe`. Ours is the deployed `functions/webhooks/providers/app.py` from
its event to its answer; only the composition root is replaced, so that the inbox is in memory, not in the table. The
reference does less: Stripe's own library verifies and parses the same bodies, and stores nothing.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import random
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
DELIVERIES, DUPLICATES = 10_000, 2_000
DELIVERIES_PER_SECOND_MIN = 5_000
SECRET = "whsec_" + base64.b64encode(b"a password of nobody, of 32 bytes").decode()
STRIPE_SECRET = "whsec_a_password_of_nobody"


def rows() -> list[object]:
    from importlib.util import find_spec

    from tests.bench.measure import NotRun, Result, run_alternately

    if find_spec("stripe") is None:
        raise NotRun("stripe is not installed")
    path = {"PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}", "AWS_DEFAULT_REGION": "us-east-1"}
    path |= {"POWERTOOLS_SERVICE_NAME": "bench", "POWERTOOLS_METRICS_NAMESPACE": "Bench"}
    found = run_alternately({side: ([__file__, side], path) for side in ("ours", "stripe")}, processes=5)
    ours, stripe = found["ours"]["microseconds"], found["stripe"]["microseconds"]
    effects = found["ours"]["effects"] / (DELIVERIES - DUPLICATES)
    return [
        Result(
            10, "webhook burst, a delivery on one core", ours, stripe, "µs", ours_max=1e6 / DELIVERIES_PER_SECOND_MIN
        ),
        Result(10, "webhook burst, effects of each", effects, 1, "", ours_max=1),
    ]


def bodies() -> list[bytes]:
    """The burst: each distinct body once, and duplicates that are a fifth of all, shuffled equally for both sides."""
    example = json.loads((ROOT / "events/webhooks/providers/replicate.json").read_text("utf-8"))["body"]
    prediction = json.loads(example)
    distinct = [
        json.dumps({**prediction, "id": f"{number:026d}"}).encode() for number in range(DELIVERIES - DUPLICATES)
    ]
    burst = distinct + distinct[:DUPLICATES]
    random.Random(10).shuffle(burst)
    return burst


def ours() -> dict[str, float]:
    """Measures the function's handler with an inbox in memory."""
    import atelier.wiring
    from atelier.adapters.providers.replicate import Replicate
    from atelier.clock import system_clock
    from atelier.generations.webhook_token import WebhookAddress, sign
    from atelier.ids import new_id
    from tests.bench.first_request import Context

    kept: Counter[tuple[str, str, str]] = Counter()

    class Inbox:
        def keep(
            self,
            provider: str,
            attempt_id: str,
            event_id: str,
            address: dict[str, str],
            headers: dict[str, str],
            body: bytes,
            now: datetime,
        ) -> bool:
            key = (provider, attempt_id, event_id)
            if key in kept:
                return False
            kept[key] += 1
            return True

    inbox, provider, key = Inbox(), Replicate(api_token="none", webhook_secret=SECRET), b"k" * 32
    workflow = ModuleType("atelier.wiring.workflow")
    workflow.inbox = lambda: inbox  # pyright: ignore
    workflow.providers = lambda: {"replicate": provider}  # pyright: ignore
    workflow.signing_key = lambda: key  # pyright: ignore
    sys.modules[workflow.__name__] = workflow
    atelier.wiring.workflow = workflow  # pyright: ignore
    sys.path.insert(0, str(ROOT / "functions/webhooks/providers"))
    import app

    now = system_clock()
    workspace, generation = new_id("wsp", now), new_id("gen", now)
    attempts: dict[bytes, str] = {}
    events: list[str] = []
    for body in bodies():
        attempt = attempts.setdefault(body, new_id("att", now))
        token = sign(WebhookAddress("replicate", workspace, generation, attempt), key)
        events.append(json.dumps(gateway_event(token, body, f"msg_{attempt}", int(now.timestamp()))))
    answers: Counter[tuple[int, bool]] = Counter()
    started = time.process_time()
    for text in events:
        # As on Lambda, each delivery decodes its own event.
        answer = app.handler(json.loads(text), Context())
        answers[answer["statusCode"], '"received":true' in answer["body"]] += 1
    taken = time.process_time() - started
    assert answers == {(200, True): DELIVERIES - DUPLICATES, (200, False): DUPLICATES}, answers
    return {"microseconds": taken / DELIVERIES * 1e6, "effects": float(sum(kept.values()))}


def gateway_event(token: str, body: bytes, event_id: str, at: int) -> dict[str, Any]:
    """The gateway's event for one delivery, signed as Replicate signs it."""
    secret = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(secret, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    example: dict[str, Any] = json.loads((ROOT / "events/webhooks/providers/replicate.json").read_text("utf-8"))
    path = f"/api/webhooks/providers/replicate/{token}"
    signed = {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{mac}"}
    context = example["requestContext"]
    return {
        **example,
        "rawPath": path,
        "body": body.decode(),
        "headers": {**example["headers"], **signed},
        "pathParameters": {"provider": "replicate", "token": token},
        "requestContext": {**context, "http": {**context["http"], "path": path}},
    }


def stripe() -> dict[str, float]:
    """Measures the reference: Stripe's library verifies and parses the same bodies."""
    from stripe import Webhook

    at = int(time.time())
    burst: list[tuple[bytes, str]] = []
    for body in bodies():
        mac = hmac.new(STRIPE_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        burst.append((body, f"t={at},v1={mac}"))
    started = time.process_time()
    for body, header in burst:
        Webhook.construct_event(body, header, STRIPE_SECRET)
    return {"microseconds": (time.process_time() - started) / DELIVERIES * 1e6}


def main(side: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        found = ours() if side == "ours" else stripe()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
