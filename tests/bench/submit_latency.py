"""Row 7: the latency of a submission through the whole local stack, compared with a function that does nothing.

The reference is a route of the same API, behind the same edge, to a function that only answers. The embedded AWS waits
50 ms for the log of a function that writes none, so a second reference, which writes a line, is measured too. The
submitted generations are not run: on AWS other machines would run them, here they would use the same two cores.
"""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from tests.bench.measure import Result, percentile
from tests.bench.stack import BenchStack

REQUESTS = {1: 40, 16: 128}
ROUNDS = 5
ACCOUNT_REQUESTS = 20
STARTED_TOGETHER_MAX = 4
SILENT_FUNCTION = """
def handler(event, context):
    return {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": "{}"}
"""
LOGGING_FUNCTION = SILENT_FUNCTION.replace("    return", "    print('nothing')\n    return")


def rows(stack: BenchStack) -> list[Result]:
    """p50 and p95 with one and with sixteen clients, each the median of its rounds. The goal applies to the comparison
    with the function that only answers."""
    stack.pause_streams()
    references = {"nothing": SILENT_FUNCTION, "one line": LOGGING_FUNCTION}
    for name, source in references.items():
        add_function(stack, path_of(name), source)
    tokens = [stack.sign_up() for _ in range(ROUNDS * sum(REQUESTS.values()) // ACCOUNT_REQUESTS + 8)]
    results: list[Result] = []
    # Many accounts, each with its own wallet: contention on one wallet is measured by row 8.
    calls = iter(tokens * ACCOUNT_REQUESTS)

    for clients, requests in REQUESTS.items():
        start_workers(stack, calls, clients)
        answers = {name: [lambda name=name: call_reference(stack, path_of(name))] * requests for name in references}
        for each in answers.values():
            # These uncounted calls start the workers that the load needs.
            time_calls(each[: 2 * clients], clients)
        ours: list[list[float]] = []
        beside_ours: dict[str, list[list[float]]] = {name: [] for name in references}
        # Measured alternately, so that a slow moment of the machine affects them all.
        for _ in range(ROUNDS):
            ours.append(time_calls([submission(stack, next(calls)) for _ in range(requests)], clients))
            for name, each in answers.items():
                beside_ours[name].append(time_calls(each, clients))
        for name, rounds in beside_ours.items():
            for percent in (50, 95):
                measured, beside = (median(percentile(taken, percent) for taken in side) for side in (ours, rounds))
                metric = f"submit to 202, {clients} at a time, p{percent}, beside {name}"
                bar = 2 if name == "nothing" else None
                results.append(Result(7, metric, measured * 1000, beside * 1000, "ms", ratio_max=bar))
    return results


def start_workers(stack: BenchStack, tokens: Iterator[str], clients: int) -> None:
    """Start as many workers of the product's functions as the load needs, a few at a time, because starting one uses a
    whole core."""
    for width in [*range(STARTED_TOGETHER_MAX, clients, STARTED_TOGETHER_MAX), clients, clients, clients]:
        time_calls([submission(stack, next(tokens)) for _ in range(width)], width)


def submission(stack: BenchStack, token: str) -> Callable[[], None]:
    def submit() -> None:
        body = {"kind": "image", "prompt": "a", "model": "local/canvas", "parameters": {"width": 64, "height": 64}}
        status, answer = stack.call("POST", "/api/generate", body, token)
        assert status == 202, answer

    return submit


def path_of(reference: str) -> str:
    return f"/api/bench/{reference.replace(' ', '-')}"


def call_reference(stack: BenchStack, path: str) -> None:
    status, _ = stack.call("POST", path, {})
    assert status == 202


def time_calls(calls: Sequence[Callable[[], None]], clients: int) -> list[float]:
    """Seconds of each call, `clients` at a time."""

    def one(call: Callable[[], None]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, calls))


def add_function(stack: BenchStack, path: str, source: str) -> None:
    """Add a function and a route to it to the product's API."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    name = f"bench-{uuid.uuid4().hex[:8]}"
    function = stack.aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=next(iter(stack.functions().values()))["Role"],
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        MemorySize=512,
    )
    gateway, api = stack.aws.client("apigatewayv2"), stack.child.resource("Api")
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function["FunctionArn"], PayloadFormatVersion="2.0"
    )
    gateway.create_route(ApiId=api, RouteKey=f"POST {path}", Target=f"integrations/{integration['IntegrationId']}")
    stack.aws.client("lambda").add_permission(
        FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
