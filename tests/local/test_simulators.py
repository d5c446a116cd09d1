"""All providers, offline: what `make run SIMULATORS=1` prints is true, and no process is left when it ends."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from atelier.catalogue.catalogue import providers_with_keys
from infra.local.stack_process import RunningStack
from infra.simulators.kit.samples import sample_png
from tests.lanes import need_node, not_run
from tests.local.client import AccountClient, poll_until

JUDGES = Path(__file__).parents[1] / "judges"
PROVIDERS = set(providers_with_keys())
# Two requests in any four seconds: only the test of the limit calls Replicate that often.
LIMIT, LIMIT_SECONDS = 2, 4
PICTURE = {"width": 512, "height": 512}
PARAMETERS = {
    "RequestsPerMinute": "100000",
    "SignInsPerAddress": "100000",
    "AttemptPollSeconds": "1",
    "ProviderLimits": f"replicate={LIMIT}/{LIMIT_SECONDS}",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    data = tmp_path_factory.mktemp("simulators") / "data"
    with RunningStack(data, parameters=PARAMETERS, arguments=["--simulators", "1"]) as stack:
        poll_until(lambda: stack.lines, lambda lines: lines[-1].startswith("curl "))
        yield stack


def documented_urls(running: RunningStack) -> dict[str, tuple[str, str]]:
    """By provider what was printed: its address, and a marker that makes it misbehave."""
    found = (re.match(r"(\w+) +(http://\S+) +say \[\[(\S+)\]\] in a prompt", line) for line in running.lines)
    return {match[1]: (match[2], match[3]) for match in found if match}


def test_every_provider_simulator_is_printed_and_responds(running: RunningStack) -> None:
    assert documented_urls(running).keys() == PROVIDERS
    for url, _ in documented_urls(running).values():
        assert httpx.get(httpx.URL(url).join("/_simulator/calls")).status_code == 200


@pytest.mark.skipif(not shutil.which("curl"), reason="not run: the printed command is curl's, and there is none")
def test_the_printed_command_shows_a_fallback(running: RunningStack) -> None:
    ran = subprocess.run(
        ["bash", "-c", "\n".join(running.lines[-2:])], check=False, capture_output=True, text=True, timeout=60
    )
    attempts = [line.split() for line in ran.stdout.splitlines()]
    assert attempts[0][1:] == ["failed", "transient"], ran
    assert attempts[-2][1:] == ["succeeded"]
    assert {line[0].partition("/")[0] for line in attempts[:-2]} == {"fal"}
    assert attempts[-2][0].partition("/")[0] != "fal"
    assert (attempts[-1][0], attempts[-1][2]) == ("succeeded", "of")


@pytest.mark.parametrize(
    "model",
    ["fal/flux-schnell", "openai/gpt-image-2.5-flare", "replicate/sdxl", "stability/core", "xai/grok-imagine-image"],
)
def test_each_provider_generates_an_image_and_can_fail_alone(running: RunningStack, model: str) -> None:
    person = AccountClient(running.base_url)
    provider = model.partition("/")[0]
    spared = "".join(f" [[{other}/create:503]]" for other in sorted(PROVIDERS - {provider}))

    def begun(prompt: str) -> str:
        answer = person.http.post("/api/generate/image", json={"prompt": prompt, "model": model})
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["generation"]["id"]

    made, refused = begun(f"a lake{spared}"), begun(f"a lake [[{provider}/create:503]]")
    assert person.wait_for_end(made)["status"] == "succeeded"
    ended = person.wait_for_end(refused)
    assert (ended["status"], ended["credits_charged"]) == ("failed", 0)
    assert [attempt["status"] for attempt in ended["attempts"]] == ["failed"]
    person.assert_books_balance()


def test_a_providers_rate_limit_delays_attempts_and_all_succeed(running: RunningStack) -> None:
    person = AccountClient(running.base_url)
    made = [person.generate("a lake", model="replicate/sdxl", **PICTURE) for _ in range(LIMIT + 1)]
    ended = [person.wait_for_end(answer.json()["data"]["generation"]["id"]) for answer in made]
    assert [each["status"] for each in ended] == ["succeeded"] * len(ended)
    begun = sorted(datetime.fromisoformat(attempt["started_at"]) for each in ended for attempt in each["attempts"])
    assert len(begun) == LIMIT + 1
    assert begun[LIMIT] - begun[0] >= timedelta(seconds=LIMIT_SECONDS)
    person.assert_books_balance()


def test_a_delayed_generation_shows_its_place_and_gets_its_deleted_input(
    running: RunningStack,
) -> None:
    person = AccountClient(running.base_url)
    picture = person.generate(wait=25, **PICTURE).json()["data"]["generation"]["assets"][0]["id"]
    for _ in range(LIMIT):
        person.generate("a lake", model="replicate/sdxl", **PICTURE)
    parameters = {"reference_asset_ids": [picture]}
    body = {"prompt": "a woman on a pier", "model": "replicate/photomaker", "parameters": parameters}
    answer = person.http.post("/api/generate/image", json=body)
    assert answer.status_code == 202, answer.text
    made = answer.json()["data"]["generation"]["id"]
    queue = poll_until(lambda: person.generation(made)["queue"], bool)
    assert queue["position"] >= 1
    assert datetime.fromisoformat(queue["retry_at"]) > datetime.now(UTC)
    assert person.http.delete(f"/api/assets/{picture}").status_code == 204
    ended = person.wait_for_end(made)
    assert (ended["status"], ended["queue"]) == ("succeeded", None), ended
    lineage = person.get(f"/api/assets/{ended['assets'][0]['id']}/lineage").json()["data"]
    assert [(each["id"], each["asset"]) for each in lineage["origins"]] == [(picture, None)]


def ended_after_a_lost_result(running: RunningStack) -> tuple[AccountClient, Any] | None:
    """An account, and its generation whose first result was lost; None while Replicate is at its rate limit, because
    of the test before, so that `auto` begins with another provider."""
    person = AccountClient(running.base_url)
    first = {"id": "replicate", "enabled": True, "priority": 1}
    assert person.http.put("/api/settings/providers", json={"providers": [first]}).status_code == 200
    accepted = person.generate("a lake [[replicate/output:gone]]", model="auto", **PICTURE)
    ended = person.wait_for_end(accepted.json()["data"]["generation"]["id"])
    return (person, ended) if ended["attempts"][0]["provider"] == "replicate" else None


def test_a_lost_result_is_replaced_by_another_provider_and_charged_once(running: RunningStack) -> None:
    person, ended = poll_until(lambda: ended_after_a_lost_result(running), bool)
    assert ended["status"] == "succeeded", ended
    lost, made = ended["attempts"]
    assert (lost["provider"], lost["status"], lost["key_id"]) == ("replicate", "failed", None)
    assert made["status"] == "succeeded"
    assert ended["cost_microusd"] == lost["cost_microusd"] + made["cost_microusd"]
    assert lost["cost_microusd"] > 0
    assert [movement["kind"] for movement in person.statement()] == ["settled", "hold", "grant"]
    person.assert_books_balance()


def test_openais_sdk_reaches_every_provider(running: RunningStack) -> None:
    def client() -> OpenAI:
        person = AccountClient(running.base_url)
        token = person.http.post("/api/tokens", json={"name": "a program", "scopes": ["all"]}).json()["data"]["token"]
        return OpenAI(base_url=f"{running.base_url}/v1", api_key=token)

    picture = "data:image/png;base64," + base64.b64encode(sample_png(32, 32, 1)).decode()
    parts: Any = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": picture}}]
    first = client()
    for name in ("gpt-5.4-mini", "claude-haiku-4-5"):
        seen = first.chat.completions.create(model=name, messages=[{"role": "user", "content": parts}])
        assert "what is this" in (seen.choices[0].message.content or "")
        assert seen.model.endswith(name)
        assert first.responses.create(model=name, input="hello").output_text
    for model in ("gpt-image-2", "fal/flux-kontext", "replicate/photomaker"):
        assert client().images.edit(model=model, image=sample_png(64, 64, 1), prompt="a lake").data
    for model in ("stability/core", "xai/grok-imagine-image"):
        assert client().images.generate(model=model, prompt="a lake").data
    with pytest.raises(openai.NotFoundError):
        client().images.generate(model="dall-e-3", prompt="a lake")
    assert client().audio.speech.create(model="tts-1", voice="alloy", input="Hi.").content


def test_a_stopped_stack_leaves_no_simulator_listening(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data", arguments=["--simulators", "1"]).start()
    poll_until(lambda: stack.lines, lambda lines: lines[-1].startswith("curl "))
    emulator = Path(f"/proc/{stack.emulator_process_id}")
    assert stack.stop(signal.SIGINT) == 0
    assert not emulator.exists()
    for url, _ in documented_urls(stack).values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


# Clients that retry a request by themselves, and the result that each of them expects.
NPM = {"ai, picture": True, "ai, text": True, "langchain": True, "openai": True}
PYTHON = {"litellm_client": True, "langchain_client": True}


def repeated(order: list[str], running: RunningStack, clients: dict[str, bool], *models: str) -> None:
    """Each client waits 5 s and retries a generation of 6 s: it gets its result, and one generation is charged."""
    person = AccountClient(running.base_url)
    token = person.http.post("/api/tokens", json={"name": "clients", "scopes": ["all"]}).json()["data"]["token"]
    order = [*order, f"{running.base_url}/v1", token, "wait=5", "6", *models]
    offline = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ran = subprocess.run(order, env=offline, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert json.loads(ran.stdout) == clients
    paid = sorted(movement["kind"] for movement in person.statement())
    assert paid == ["grant", *["hold"] * len(clients), *["settled"] * len(clients)]


def test_npm_clients_that_retry_slow_requests_are_charged_once(running: RunningStack) -> None:
    node = need_node()
    if not (JUDGES / "node_modules/ai").exists():
        not_run("npm's clients are not installed (npm ci --prefix tests/judges)")
    order = [node, str(JUDGES / "slow.mjs")]
    repeated(order, running, NPM, "openai/gpt-image-2.5-flare", "openai/gpt-5.4-mini")


def test_python_clients_that_retry_slow_requests_are_charged_once(running: RunningStack) -> None:
    python = JUDGES.parents[1] / ".venv-clients/bin/python"
    if not (python.with_name("litellm")).exists():
        not_run("litellm and LangChain are not installed (make .venv-clients)")
    repeated([str(python), str(JUDGES / "slow.py")], running, PYTHON, "openai/gpt-5.4-mini")
