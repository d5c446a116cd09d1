"""No generation stays open past its deadline, whatever its provider does; on a stack whose deadlines are short."""

from __future__ import annotations

import json
from pathlib import Path

from infra.local.running import RunningStack
from infra.local.standins.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateStandIn
from tests.local.client import Person, until

PARAMETERS = {"GenerationDeadlineSeconds": "4", "AttemptPollSeconds": "1"}
RECONCILER = "SchedulesReconcileGenerationsFunction"


def test_a_provider_that_never_ends_costs_the_caller_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "replicate.json"
    secret.write_text(json.dumps({"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}))
    with ReplicateStandIn(0) as standin:
        arguments = ["--replicate-url", standin.url, "--replicate-secret-file", str(secret)]
        with RunningStack(tmp_path / "data", parameters=PARAMETERS, arguments=arguments) as running:
            person = Person(running.base_url)
            asked = person.generate("a lake [[run:hang]]", model="replicate/sdxl", width=512, height=512)
            generation_id = asked.json()["data"]["generation"]["id"]
            assert running.invoke(RECONCILER, {})["expired"] == 0
            assert person.balance()["held"] > 0
            # The schedule comes each minute; a test does not wait for it.
            until(lambda: running.invoke(RECONCILER, {})["expired"], lambda expired: expired == 1)
            ended = person.generation(generation_id)
            assert (ended["status"], ended["credits_charged"]) == ("expired", 0)
            balance = person.balance()
            assert (balance["available"], balance["held"]) == (50, 0)
            assert [movement["kind"] for movement in person.statement()] == ["expired", "hold", "grant"]
            assert running.invoke(RECONCILER, {})["expired"] == 0
            person.assert_books_balance()
