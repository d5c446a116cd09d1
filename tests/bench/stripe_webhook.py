"""Row 15: the function of Stripe's webhooks beside a typical one that imports Stripe's SDK.

Measured are the cold start, and the own time of a delivery that is verified, stored and answered: processor time but
that of the SDK's calls. Both sides write to the embedded AWS. The event holds a whole invoice, as Stripe sends it: what
the SDK builds from an event costs by its size."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.cold_start import emulator_environment, stage_function
from tests.bench.measure import ROOT, Result, run_alternately
from tests.bench.stack import BenchStack

DELIVERIES = 300
SECRET_ID, SIGNING_SECRET = "bench-stripe", "whsec_of_the_bench"
EVENT = ROOT / "events/webhooks/stripe/invoice_paid.json"
COLD_RATIO_MAX, OWN_TIME_RATIO_MAX = 0.6, 0.45


def rows(running: BenchStack, folder: Path) -> list[Result]:
    """Two rows: cold start, own time."""
    value = json.dumps({"api_key": "sk_test_bench", "webhook_secrets": [SIGNING_SECRET]})
    running.aws.client("secretsmanager").create_secret(Name=SECRET_ID, SecretString=value)
    # Without this, the inbox's function would act on the deliveries during the measurement.
    running.pause_streams()
    deployed = running.functions()[running.child.resource("WebhooksStripeFunction")]["Environment"]["Variables"]
    aws = emulator_environment(running)
    ours = {**deployed, **aws, "ATELIER_PAYMENTS": "stripe", "ATELIER_SECRET_STRIPE": SECRET_ID}
    typical = {**aws, "TYPICAL_TABLE": running.child.table("inbox"), "TYPICAL_SECRET": SECRET_ID}
    script, more = str(Path(__file__).parent / "deliver.py"), [SIGNING_SECRET, str(DELIVERIES)]
    app = stage_function(folder, "stripe_webhook", ROOT / "functions/webhooks/stripe")
    reference = stage_function(folder, "typical_webhook", Path(__file__).parent / "typical_webhook")
    found = run_alternately(
        {
            "ours": ([script, str(app), str(EVENT), str(folder / "layer"), *more], ours),
            "typical": ([script, str(reference), str(EVENT), "", *more], typical),
        }
    )
    return [
        Result(15, f"Stripe's webhook, {what}", found["ours"][key], found["typical"][key], "ms", ratio_max=ratio)
        for what, key, ratio in (
            ("cold start", "cold", COLD_RATIO_MAX),
            ("own time of a delivery, p95", "p95", OWN_TIME_RATIO_MAX),
        )
    ]
