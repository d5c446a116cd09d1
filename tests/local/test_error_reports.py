"""Errors of a whole local stack arrive at a tracker, out of the log, and nothing that a person wrote with them."""

from __future__ import annotations

from pathlib import Path

from infra.local.stack_process import RunningStack
from tests.functions.sentry_receiver import SentryReceiver
from tests.local.client import AccountClient
from tests.polling import wait_until

PROMPT = "a lighthouse of canaries"


def test_an_error_of_a_function_arrives_at_the_tracker(tmp_path: Path) -> None:
    with SentryReceiver() as sentry, RunningStack(tmp_path, parameters={"SentryDsn": sentry.dsn}) as running:
        person = AccountClient(running.base_url)
        assert person.generate(prompt=PROMPT, wait=25).json()["data"]["generation"]["status"] == "succeeded"
        # A wallet that was changed past the ledger is an error that the ledger's stream logs.
        running.aws().client("dynamodb").update_item(
            TableName=running.table("ledger"),
            Key={"pk": {"S": person.workspace_id}, "sk": {"S": "wallet"}},
            UpdateExpression="ADD available :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        person.generate(prompt=PROMPT)
        wait_until(lambda: any(each.get("message") == "ledger drift" for each in sentry.events), 60)
        [drift, *_] = [each for each in sentry.events if each.get("message") == "ledger drift"]
        assert drift["tags"]["workspace_id"] == person.workspace_id
        assert drift["environment"] == "local"
        everything = b"".join(sentry.bodies).decode()
        assert [word for word in (PROMPT, person.email, "@example.test") if word in everything] == []
