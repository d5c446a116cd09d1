"""Run in a fresh process: imports a function's app.py, delivers webhooks of Stripe to it, prints times as JSON.

Usage: python deliver.py <app.py> <event.json> <directories of the import path> <signing secret> <number>
Printed are `cold`, milliseconds of the import and the first delivery, and `p95`, milliseconds of processor time of a
later one, without the SDK's calls of AWS, which are the same for everybody.
"""

import time

started = time.perf_counter()

import hashlib  # noqa: E402
import hmac  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402


class Context:
    """The context object that Lambda passes to a handler."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    aws_request_id = "bench"


def deliveries(template: dict, secret: str, count: int) -> list[str]:
    """Gateway events with different, signed bodies."""
    event, at = json.loads(template["body"]), int(time.time())
    found = []
    for _ in range(count):
        body = json.dumps({**event, "id": f"evt_{os.urandom(12).hex()}"})
        mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {**template["headers"], "stripe-signature": f"t={at},v1={mac}"}
        found.append(json.dumps({**template, "body": body, "headers": headers}))
    return found


def clock_aws_calls() -> list[float]:
    """The list to which each call of AWS from now on adds its processor time in seconds."""
    from botocore.client import BaseClient

    taken: list[float] = []
    call = BaseClient._make_api_call

    def timed(self, *arguments, **named):
        began = time.process_time()
        try:
            return call(self, *arguments, **named)
        finally:
            taken.append(time.process_time() - began)

    BaseClient._make_api_call = timed
    return taken


def main() -> None:
    app, event, path, secret, count = sys.argv[1:6]
    with open(event) as file:
        events = deliveries(json.load(file), secret, int(count))
    prepared = time.perf_counter()
    sys.path[:0] = [os.path.dirname(app), *filter(None, path.split(os.pathsep))]
    import app as function

    statuses = {function.handler(json.loads(events[0]), Context())["statusCode"]}
    cold = (time.perf_counter() - prepared) * 1000
    times, in_aws = [], clock_aws_calls()
    for text in events[1:]:
        in_aws.clear()
        began = time.process_time()
        statuses.add(function.handler(json.loads(text), Context())["statusCode"])
        times.append((time.process_time() - began - sum(in_aws)) * 1000)
    assert statuses == {200}, statuses
    print(json.dumps({"cold": cold, "p95": sorted(times)[len(times) * 95 // 100]}))


if __name__ == "__main__":
    main()
