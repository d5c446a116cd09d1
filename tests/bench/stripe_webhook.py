"""Row 15: the function of Stripe's webhooks beside a typical one that imports Stripe's SDK.

Measured are the cold start, and the own time of a delivery that is verified, stored and answered: processor time but
that of the SDK's calls. Both sides write to the embedded AWS. The event holds a whole invoice, as Stripe sends it: what
the SDK builds from an event costs by its size."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.cold_start import emulator_environment, function_path, stage_function
from tests.bench.measure import ROOT, Result, run_alternately
from tests.bench.site_folder import ISOLATED, reference_site
from tests.bench.stack import BenchStack

DELIVERIES = 300
SECRET_ID, SIGNING_SECRET = "bench-stripe", "whsec_of_the_bench"
EVENT = ROOT / "events/webhooks/stripe/invoice_paid.json"
TYPICAL_IMPORTS = ("boto3", "aws-lambda-powertools", "stripe")
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
    source = ROOT / "functions/webhooks/stripe"
    app = stage_function(folder, "stripe_webhook", source)
    reference = stage_function(folder, "typical_webhook", Path(__file__).parent / "typical_webhook")
    site = reference_site(folder, "typical_webhook", TYPICAL_IMPORTS)
    found = run_alternately(
        {
            "ours": ([*ISOLATED, script, str(app), str(EVENT), function_path(folder, source), *more], ours),
            "typical": ([*ISOLATED, script, str(reference), str(EVENT), str(site), *more], typical),
        }
    )
    return [
        Result(15, f"Stripe's webhook, {what}", found["ours"][key], found["typical"][key], "ms", ratio_max=ratio)
        for what, key, ratio in (
            ("cold start", "cold", COLD_RATIO_MAX),
            ("own time of a delivery, p95", "p95", OWN_TIME_RATIO_MAX),
        )
    ]
