"""PriceSync by the function that compares the price list with Stripe: it alone has Stripe's key for that."""

from __future__ import annotations

import json
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from atelier.adapters.aws.clients import client
from atelier.billing.price_proposals import StripeSteps
from atelier.catalogue.price_list import PublishedVersion
from atelier.errors import Unavailable
from atelier.telemetry import logger


class LambdaPriceSync:
    """PriceSync on Lambda. function: its name."""

    def __init__(self, function: str) -> None:
        self._function = function

    def __call__(self, proposed: Sequence[PublishedVersion], *, apply: bool) -> StripeSteps:
        event = {"apply": apply, "proposed": [{"kind": each.kind, "entry": dict(each.entry)} for each in proposed]}
        try:
            answer = client("lambda").invoke(FunctionName=self._function, Payload=json.dumps(event).encode())
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(str(error)) from error
        result = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise self._unavailable(str(result.get("errorMessage", "")))
        return StripeSteps(result["steps"], result["steps"] - result["applied"], result["table"])

    @staticmethod
    def _unavailable(failure: str) -> Unavailable:
        logger.warning("prices were not compared with Stripe", failure=failure)
        return Unavailable("Payments are not available now.")
