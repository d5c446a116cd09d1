"""A client of Stripe's API: the SDK over our own HTTP client, with time-outs, and its errors as ours.

The SDK's own client without `requests` has no time-out, opens a connection for each request, and lets a dropped
connection out as an error of the standard library."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import stripe
import urllib3

from atelier.billing.errors import PaymentRefused, StripeObjectMissing
from atelier.billing.verify_event import API_VERSION
from atelier.errors import Unavailable
from atelier.telemetry import logger

CONNECT_SECONDS_MAX = 3.0
RETRIES_MAX = 2
# Stripe documents these for a card that was declined or needs its holder; the text is written for the buyer.
BUYERS_FAULTS = frozenset({"card_error"})


class Urllib3Client(stripe.HTTPClient):
    """The SDK's HTTP client on urllib3: connections are kept, and each request ends within `seconds_max`."""

    name = "urllib3"

    def __init__(self, seconds_max: float) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=seconds_max)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, *, _usage: Any = None
    ) -> tuple[str, int, Mapping[str, str]]:
        try:
            answer = self._pool.request(
                method.upper(), url, body=post_data, headers=dict(headers or {}), redirect=False
            )
            return answer.data.decode(), answer.status, {name.lower(): value for name, value in answer.headers.items()}
        except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
            # The same idempotency key goes with each retry, so sending again is safe whatever happened.
            raise stripe.APIConnectionError(f"no answer: {type(error).__name__}", should_retry=True) from error

    def close(self) -> None:
        self._pool.clear()


def new_client(
    api_key: str,
    url: str,
    *,
    seconds_max: float,
    transport: Callable[[float], stripe.HTTPClient] = Urllib3Client,
) -> stripe.StripeClient:
    """A client with this key. url: the base URL of a simulator, empty = Stripe's own. seconds_max: for one request,
    which is tried three times at most. Raises Unavailable without a key."""
    if not api_key:
        raise Unavailable("Payments are not configured.")
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": url} if url else {},
        http_client=transport(seconds_max),
        max_network_retries=RETRIES_MAX,
        stripe_version=API_VERSION,
    )


@contextmanager
def errors_as_ours() -> Generator[None]:
    """Raise the SDK's errors as ours: StripeObjectMissing, PaymentRefused (declined; the text is for the buyer), and
    Unavailable for whatever may pass. Another refusal is a mistake of ours and stays what it is."""
    try:
        yield
    except stripe.CardError as error:
        raise PaymentRefused(
            error.user_message or "The payment was declined.", reason=error.code or "declined"
        ) from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing" and error.http_status == 404:
            raise StripeObjectMissing(str(error)) from error
        raise
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        logger.error("Stripe refuses the key", extra={"status": error.http_status})
        raise Unavailable("Payments are not available now.") from error
    except stripe.StripeError as error:
        # No answer, a rate limit, a 5xx, an idempotency key in use, an answer that is no JSON.
        logger.warning("Stripe did not do it", extra={"error": type(error).__name__, "status": error.http_status})
        raise Unavailable("The payment service did not answer. Try again.") from error
