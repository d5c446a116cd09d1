"""Livestreams at Mux, through the functions: webhooks over the inbox, the schedule, a recording in the library."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.streaming.local_film import film_of
from atelier.clock import rfc3339, system_clock
from atelier.wiring.library import assets
from infra.simulators.streaming.mux import WEBHOOK_SECRET, MuxSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.delivered_streams import DeliveredStreams
from tests.functions.people import call, create_person
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import ROOT as REPOSITORY
from tests.invoke import complete_event, load_function, with_request

PATH = "/api/livestreams"


@pytest.fixture(scope="module")
def film() -> bytes:
    return film_of("A lake at dawn")


@pytest.fixture
def mux(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch, film: bytes) -> Iterator[MuxSimulator]:
    """Mux's simulator, and the deployment's access to it. It sends no webhooks, because nothing listens."""
    with MuxSimulator(film=film) as running:
        secret = os.environ["ATELIER_SECRET_PROVIDERS"]
        client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps({"mux": running.access}))
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"mux={running.url}")
        clear_wiring_caches(clients=False)
        yield running


def webhook(event: dict[str, Any], *, secret: str = WEBHOOK_SECRET) -> Reply:
    """An event as Mux posts it now."""
    body, at = json.dumps(event), int(time.time())
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"mux-signature": f"t={at},v1={signature}"}
    example = complete_event(REPOSITORY / "events/webhooks/providers")
    request = with_request(example, "POST /api/webhooks/mux", headers=headers, route="ANY /api/webhooks/mux")
    return {**request, "body": body}


def test_webhooks_lead_to_a_livestream_and_its_recording(
    mux: MuxSimulator, cloud: AwsResources, kept_secret: list[str]
) -> None:
    app, receiver = load_function("api/livestreams"), load_function("webhooks/providers")
    ada, streams = create_person("ada"), DeliveredStreams(cloud.tables, "inbox")
    said = {"title": "A lake", "starts_at": rfc3339(system_clock() + timedelta(days=1)), "access": "public"}
    livestream_id = success_data(call(app, ada, f"POST {PATH}", said))["livestream"]["id"]
    key = success_data(call(app, ada, f"GET {PATH}/{livestream_id}/stream-key"))["ingest"]
    assert key["url"] == "rtmps://global-live.mux.com:443/app"
    # The log may not contain it: the fixture `log` looks.
    kept_secret.append(key["stream_key"])
    started = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/start"))["livestream"]
    assert started["status"] == "idle"

    [stream_id] = mux.streams
    asset = mux.connect(stream_id)
    event = mux.events[-1]
    assert error_of(invoke_app(receiver, webhook(event, secret="another"))) == (400, "BAD_REQUEST")
    answers = [success_data(invoke_app(receiver, webhook(event))) for _ in range(2)]
    assert answers == [{"received": True}, {"received": False}]
    assert streams.deliver("streams/inbox", times=2) == 1
    assert key["stream_key"] not in str(cloud.items(cloud.tables.inbox))
    live = success_data(call(app, ada, f"GET {PATH}/{livestream_id}"))["livestream"]
    assert (live["status"], live["viewers"]) == ("live", 0)
    playback = success_data(call(app, ada, f"GET {PATH}/{livestream_id}/playback"))["playback"]
    assert playback["url"].startswith(f"{mux.url}/stream/")

    ended = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/end"))["livestream"]
    assert (ended["status"], ended["recording"]) == ("ended", "waiting")
    mux.finish(asset)
    invoke_app(receiver, webhook(mux.events[-1]))
    # It makes the livestream due; the schedule has the layers to open a film.
    streams.deliver("streams/inbox")
    schedule, later = load_function("schedules/advance_livestreams"), system_clock() + timedelta(minutes=2)
    for _ in range(2):
        schedule.handler({}, None, clock=lambda: later)
    kept = success_data(call(app, ada, f"GET {PATH}/{livestream_id}"))["livestream"]
    [recorded] = assets().find(ada.workspace_id, kept["recording_asset_ids"])
    assert (kept["recording"], recorded.livestream_id, recorded.type) == ("kept", livestream_id, "video")


def test_a_webhook_waits_while_no_secret_is_configured(cloud: AwsResources) -> None:
    receiver = load_function("webhooks/providers")
    assert error_of(invoke_app(receiver, webhook({"type": "a.b", "id": "1", "data": {}}))) == (503, "UNAVAILABLE")
    assert not cloud.items(cloud.tables.inbox)
