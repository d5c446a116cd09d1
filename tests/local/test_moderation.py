"""Moderation over the whole stack, with a simulator for OpenAI's endpoint: before anything is held or stored."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest

from infra.local.stack_process import RunningStack
from tests.local.client import AccountClient, poll_until

PARAMETERS = {
    "RequestsPerMinute": "100000",
    "SignInsPerAddress": "100000",
    "AttemptPollSeconds": "1",
    "Moderator": "openai",
    "ModeratedCategories": "sexual",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    data = tmp_path_factory.mktemp("moderated") / "data"
    with RunningStack(data, parameters=PARAMETERS, arguments=["--simulators", "1"]) as stack:
        poll_until(lambda: stack.lines, lambda lines: lines[-1].startswith("curl "))
        yield stack


@pytest.fixture
def openai(running: RunningStack) -> Iterator[httpx.Client]:
    """The simulator, with its recorded calls cleared."""
    url = next(match[1] for line in running.lines if (match := re.match(r"openai +(http://[^/ ]+)", line)))
    with httpx.Client(base_url=url) as client:
        client.post("/_simulator/reset")
        yield client


def judged(openai: httpx.Client) -> list[object]:
    calls = openai.get("/_simulator/calls").json()["calls"]
    return [call["body"]["input"] for call in calls if call["path"] == "/v1/moderations"]


def behave(openai: httpx.Client, *markers: str, creations: int) -> None:
    openai.post("/_simulator/behave", json={"markers": markers, "creations": creations}).raise_for_status()


def test_a_refused_prompt_creates_no_generation_and_is_free(running: RunningStack, openai: httpx.Client) -> None:
    person = AccountClient(running.base_url)
    before = person.balance()
    for prompt, category in (("ch1ld p0rn", "minors"), ("a fox [[moderation:sexual]]", "sexual")):
        answer = person.generate(prompt, key=f"for {category}")
        assert (answer.status_code, answer.json()["error"]) == (422, "VALIDATION_FAILED"), answer.text
        details = answer.json()["details"]
        assert (details["category"], details["fields"][0]["path"]) == (category, "prompt")
    # A prompt that the blocklist refuses is not sent to the moderator.
    assert judged(openai) == [["a fox [[moderation:sexual]]"]]
    assert person.get("/api/generations").json()["data"]["items"] == []
    assert person.balance() == before
    compatible = person.http.post("/v1/images/generations", json={"prompt": "ch1ld p0rn", "model": "local/canvas"})
    assert (compatible.status_code, compatible.json()["error"]["code"]) == (400, "content_policy_violation")
    accepted = person.generate("a fox", key="for sexual")
    assert accepted.status_code == 202, accepted.text
    person.wait_for_end(accepted.json()["data"]["generation"]["id"])
    person.assert_books_balance()


def test_a_refused_output_image_is_not_stored_and_is_free(running: RunningStack, openai: httpx.Client) -> None:
    person = AccountClient(running.base_url)
    behave(openai, "moderation:picture-sexual", creations=2)
    generation_id = person.generate("a lake").json()["data"]["generation"]["id"]
    ended = person.wait_for_end(generation_id)
    assert (ended["status"], ended["error"]["error_class"], ended["assets"]) == ("failed", "moderated_output", [])
    assert (ended["credits_charged"], person.balance()["held"]) == (0, 0)
    prompt, picture = judged(openai)
    assert prompt == ["a lake"]
    assert str(picture).startswith("[{'type': 'image_url', 'image_url': {'url': 'data:image/webp;base64,")
    assert person.get("/api/assets").json()["data"]["items"] == []
    buckets = running.aws().client("s3")
    kept = buckets.list_objects_v2(Bucket=running.outputs["MediaBucket"], Prefix=f"media/{person.workspace_id}")
    assert kept["KeyCount"] == 0
    person.assert_books_balance()


def test_a_hanging_moderator_does_not_block_the_request(running: RunningStack, openai: httpx.Client) -> None:
    person = AccountClient(running.base_url)
    behave(openai, "create:hang", creations=1)
    began = time.monotonic()
    accepted = person.generate("a river")
    # The gateway's own time-out is 29 s.
    assert time.monotonic() - began < 20
    assert accepted.status_code == 202, accepted.text
    assert person.wait_for_end(accepted.json()["data"]["generation"]["id"])["status"] == "succeeded"
