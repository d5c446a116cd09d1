"""Outbound webhooks over the whole stack: a real receiver on this machine gets what was signed."""

from __future__ import annotations

import json
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.webhook_receiver import webhook_receiver

PATH = "/api/webhook-endpoints"


def test_a_generation_is_told_to_a_receiver(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    with webhook_receiver() as receiver:
        body = {"url": f"{receiver.url}/hook", "events": ["generation.succeeded", "asset.created"]}
        made = person.http.post(PATH, json=body).json()["data"]
        generation = person.wait_for_end(person.generate().json()["data"]["generation"]["id"])
        posts = receiver.wait_for(2, seconds_max=40)
    bodies = {json.loads(body)["type"]: Webhook(made["secret"]).verify(body, headers) for _, headers, body in posts}
    assert bodies.keys() == {"generation.succeeded", "asset.created"}
    assert bodies["generation.succeeded"]["data"]["generation_id"] == generation["id"]


def test_the_webhook_url_of_a_generation_gets_its_final_status(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    with webhook_receiver() as receiver:
        body = {"prompt": "a lighthouse", "model": "local/canvas", "webhook_url": "https://10.0.0.1/"}
        refused = person.http.post("/api/generate/image", json=body)
        assert refused.status_code == 422
        assert refused.json()["details"]["fields"][0]["path"] == "webhook_url"
        body["webhook_url"] = f"{receiver.url}/own"
        generation = person.http.post("/api/generate/image", json=body).json()["data"]["generation"]
        [(_, headers, sent), *_] = receiver.wait_for(1, seconds_max=60)
    secret = person.get(f"{PATH}/workspace-secret").json()["data"]["secret"]
    event = Webhook(secret).verify(sent, headers)
    assert (event["type"], event["data"]["generation_id"]) == ("generation.succeeded", generation["id"])


def test_a_test_event_reaches_a_receiver_and_is_tried_again(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    with webhook_receiver() as receiver:
        receiver.statuses.append(503)
        made = person.http.post(PATH, json={"url": f"{receiver.url}/hook", "events": ["invoice.paid"]}).json()["data"]
        path = f"{PATH}/{made['endpoint']['id']}"
        delivery = person.http.post(f"{path}/test").json()["data"]["delivery"]
        posts = receiver.wait_for(2, seconds_max=40)

        def read() -> dict[str, Any]:
            found: dict[str, Any] = person.get(f"/api/webhook-deliveries/{delivery['id']}").json()["data"]["delivery"]
            return found

        ended = poll_until(read, lambda each: bool(each["state"] == "delivered"))
    assert [attempt["status"] for attempt in ended["attempts"]] == [503, 200]
    assert posts[0][2] == posts[1][2]
    for _, headers, body in posts:
        assert headers["webhook-id"] == delivery["id"]
        assert Webhook(made["secret"]).verify(body, headers) == json.loads(body)
    assert json.loads(posts[0][2])["type"] == "webhook.test"
    assert person.http.delete(path).status_code == 204
    assert person.get(path).status_code == 404
