"""Row 16: what it costs at AWS to watch generations by a connection, beside asking for each every two seconds.

An account makes GENERATIONS images one after the other. What a watched one uses more than one that nobody watches is
the price of watching: the ticket, the connection, the subscription, the feed, the functions that send, messages and
the minutes. A poll is measured too, and a generation is polled for as long as it takes: SECONDS, as an image does at
a provider. The embedded model is faster, so the connection's minutes are counted for SECONDS too.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import yaml
from websockets.sync.client import ClientConnection, connect

from tests.bench.generation_cost import lambda_usage, submit_image, wait_for_execution, wait_until_idle
from tests.bench.measure import Result
from tests.bench.meter import Meter, metering_proxy
from tests.bench.stack import BenchStack

GENERATIONS = 10
SECONDS = 30
POLL_SECONDS = 2
# Of one generation: queued, running, succeeded, its file and its credits.
EVENTS = 5
RECEIVE_SECONDS_MAX = 60


def rows(running: BenchStack) -> list[Result]:
    """Dollars for a million watched generations."""
    prices = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text())["microusd_per_million"]
    with metering_proxy(running.aws.endpoint) as (meter, url):
        running.set_environment(AWS_ENDPOINT_URL=url)
        try:
            watched = _watched(running, meter)
            unwatched = _unwatched(running, meter)
            poll = _poll(running, meter)
        finally:
            running.set_environment(AWS_ENDPOINT_URL=running.aws.endpoint)
    by_connection = (_dollars(watched, prices) - _dollars(unwatched, prices)) / GENERATIONS
    by_polls = _dollars(poll, prices) * SECONDS / POLL_SECONDS
    print(f"{GENERATIONS} watched: {dict(watched)}")
    print(f"{GENERATIONS} unwatched: {dict(unwatched)}")
    return [Result(16, f"a million watched for {SECONDS} s", by_connection, by_polls, "$", ratio_max=0.5)]


def _watched(stack: BenchStack, meter: Meter) -> Counter[str]:
    token = _warm_account(stack)
    since = _begin(meter)
    status, answer = stack.call("POST", "/api/realtime/tickets", {}, token)
    assert status == 201, answer
    with connect(answer["data"]["url"]) as socket:
        socket.send(json.dumps({"action": "subscribe", "channel": "workspace"}))
        _receive(socket, 1)
        for _ in range(GENERATIONS):
            wait_for_execution(stack, submit_image(stack, token, 512))
            _receive(socket, EVENTS)
    used = _used(stack, meter, since)
    used["http_api_request"] += 1
    # The subscription and its answer, and the events.
    used["websocket_message"] = 2 + GENERATIONS * EVENTS
    used["connection_minute"] = GENERATIONS * SECONDS / 60  # pyright: ignore[reportArgumentType]
    return used


def _unwatched(stack: BenchStack, meter: Meter) -> Counter[str]:
    token = _warm_account(stack)
    since = _begin(meter)
    for _ in range(GENERATIONS):
        wait_for_execution(stack, submit_image(stack, token, 512))
    return _used(stack, meter, since)


def _poll(stack: BenchStack, meter: Meter) -> Counter[str]:
    """One poll of an open generation, the mean of some."""
    token = _warm_account(stack)
    generation = submit_image(stack, token, 512)
    wait_for_execution(stack, generation)
    since = _begin(meter)
    for _ in range(GENERATIONS):
        status, answer = stack.call("GET", f"/api/generations/{generation}", token=token)
        assert status == 200, answer
    used = _used(stack, meter, since)
    used["http_api_request"] += GENERATIONS
    return Counter({name: amount / GENERATIONS for name, amount in used.items()})  # pyright: ignore[reportArgumentType]


def _warm_account(stack: BenchStack) -> str:
    """A new account; its first generation has warmed the functions up."""
    token = stack.sign_up()
    wait_for_execution(stack, submit_image(stack, token, 512))
    return token


def _begin(meter: Meter) -> int:
    wait_until_idle(meter)
    meter.reset()
    return int(time.time() * 1000)


def _used(stack: BenchStack, meter: Meter, since: int) -> Counter[str]:
    wait_until_idle(meter)
    used = lambda_usage(stack, since)
    used["dynamodb_write_unit"] = meter.dynamodb.total.write
    used["dynamodb_read_unit"] = meter.dynamodb.total.read
    return used


def _receive(socket: ClientConnection, count: int) -> None:
    for _ in range(count):
        socket.recv(timeout=RECEIVE_SECONDS_MAX)


def _dollars(used: Counter[str], prices: dict[str, int]) -> float:
    """Dollars for a million times this, without the embedded model."""
    return sum(amount * prices[name] / 1e6 for name, amount in used.items() if name != "model_gigabyte_second")
