"""No generation stays open past its deadline, whatever its provider does; on a stack whose deadlines are moved, so that
nobody waits for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atelier.clock import rfc3339, system_clock
from infra.local.stack_process import RunningStack
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from tests.local.client import AccountClient, poll_until

RECONCILER = "SchedulesReconcileGenerationsFunction"


@contextmanager
def stack(folder: Path) -> Iterator[tuple[RunningStack, ReplicateSimulator]]:
    """The stack and its provider."""
    secrets = folder / "providers.json"
    secrets.write_text(json.dumps({"replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}}))
    parameters = {"AttemptPollSeconds": "1"}
    with ReplicateSimulator(0) as simulator:
        arguments = ["--provider-url", f"replicate={simulator.url}", "--provider-secrets-file", str(secrets)]
        with RunningStack(folder / "data", parameters=parameters, arguments=arguments) as running:
            yield running, simulator


def start(person: AccountClient, prompt: str) -> str:
    accepted = person.generate(prompt, model="replicate/sdxl", width=512, height=512)
    generation_id: str = accepted.json()["data"]["generation"]["id"]
    return generation_id


def expire(running: RunningStack, person: AccountClient, generation_id: str) -> None:
    """Move the deadline of a generation to now, and reconcile until it has expired, without waiting for the schedule of
    each minute."""
    now = rfc3339(system_clock())
    for table, sk, attribute in (("generations", generation_id, "deadline_at"), ("ledger", "wallet", "sweep_at")):
        running.aws().client("dynamodb").update_item(
            TableName=running.table(table),
            Key={"pk": {"S": person.workspace_id}, "sk": {"S": sk}},
            UpdateExpression=f"SET {attribute} = :now",
            ExpressionAttributeValues={":now": {"S": now}},
        )
    poll_until(
        lambda: (running.invoke(RECONCILER, {}), person.generation(generation_id)["status"])[1],
        lambda status: status == "expired",
    )


def test_a_job_that_never_ends_expires_and_is_free(tmp_path: Path) -> None:
    with stack(tmp_path) as (running, simulator):
        person = AccountClient(running.base_url)
        generation_id = start(person, "a lake [[run:hang]]")
        poll_until(lambda: len(simulator.predictions), lambda count: count == 1)
        assert running.invoke(RECONCILER, {})["expired"] == 0
        assert person.balance()["held"] > 0
        expire(running, person, generation_id)
        assert person.generation(generation_id)["credits_charged"] == 0
        balance = person.balance()
        assert (balance["available"], balance["held"]) == (50, 0)
        assert [movement["kind"] for movement in person.statement()] == ["expired", "hold", "grant"]
        assert running.invoke(RECONCILER, {})["expired"] == 0
        person.assert_books_balance()


def test_a_job_that_ends_after_the_deadline_is_delivered_free(tmp_path: Path) -> None:
    prompts = ("a lake [[run:hang]]", "a lake [[run:hang]] [[webhook:lost]]")
    with stack(tmp_path) as (running, simulator):
        begun = [(person, start(person, prompt)) for prompt in prompts if (person := AccountClient(running.base_url))]
        poll_until(lambda: len(simulator.predictions), lambda count: count == len(prompts))
        for person, generation_id in begun:
            expire(running, person, generation_id)
        for prediction in simulator.predictions.values():
            simulator.end(prediction, "succeeded")
        for person, generation_id in begun:
            delivered = poll_until(
                lambda person=person, generation_id=generation_id: person.generation(generation_id),
                lambda found: found["status"] == "succeeded",
            )
            assert (delivered["credits_charged"], delivered["error"], len(delivered["assets"])) == (0, None, 1)
            assert person.http.get(delivered["assets"][0]["url"]).status_code == 200
            explanation = person.get(f"/api/credits/generations/{generation_id}").json()["data"]
            assert [movement["kind"] for movement in explanation["movements"]] == ["hold", "expired", "late"]
            assert explanation["credits_charged"] == 0
            balance = person.balance()
            assert (balance["available"], balance["held"]) == (50, 0)
            person.assert_books_balance()
