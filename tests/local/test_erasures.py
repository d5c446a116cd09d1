"""An account is deleted and erased on the whole stack, by the schedule and its state machine, with the permissions of
the template."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from atelier.clock import rfc3339, system_clock
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.secret_scan import find_in_stack
from tests.local.teams import create_organization, join, subscribe
from tests.local.test_local_payments import client
from tests.simulators.stripe.flows import Browser, card

# No other text has it, nor a half of it.
PROMPT = "quetzal73195cloudforest91573"


def stored(stack: Stack, word: str) -> dict[str, int]:
    """How many items and files have a word, by table and bucket."""
    aws, found = stack.running.aws(), dict[str, int]()
    dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
    for table in dynamodb.list_tables()["TableNames"]:
        pages = dynamodb.get_paginator("scan").paginate(TableName=table)
        found[table] = sum(word in str(item) for page in pages for item in page["Items"])
    for bucket in s3.list_buckets()["Buckets"]:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"])
        found[bucket["Name"]] = sum(word in each["Key"] for page in pages for each in page.get("Versions", ()))
    return {name: count for name, count in found.items() if count}


def make_due(stack: Stack, user_id: str) -> None:
    """Move the end of the 14 days into the past."""
    dynamodb, table = stack.running.aws().client("dynamodb"), stack.running.table("identity")
    at = rfc3339(system_clock() - timedelta(minutes=1))
    entries: list[Any] = dynamodb.query(
        TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "due-erasures"}}
    )["Items"]
    (entry,) = [each for each in entries if each["sk"]["S"].endswith(user_id)]
    dynamodb.put_item(TableName=table, Item={**entry, "sk": {"S": f"{at}#{user_id}"}})
    dynamodb.delete_item(TableName=table, Key={"pk": entry["pk"], "sk": entry["sk"]})
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": user_id}, "sk": {"S": "profile"}},
        UpdateExpression="SET deletion_due_at = :at",
        ExpressionAttributeValues={":at": {"S": at}},
    )


def customers_of(person: AccountClient, stack: Stack) -> int:
    """How many customers Stripe has with the person's address."""
    customers = client(stack.running).v1.customers.list({"limit": 100}).data
    return len([each for each in customers if each.email == person.email])


def test_an_account_whose_deletion_is_due_is_erased(stack: Stack) -> None:
    person, owner = AccountClient(stack.base_url), AccountClient(stack.base_url)
    team = create_organization(owner)
    subscribe(stack, owner, team)
    user_id = join(stack, owner, team, person)
    order = {"tier": "pro", "interval": "month", "success_url": stack.base_url, "cancel_url": stack.base_url}
    checkout = person.http.post("/api/billing/checkout", json=order)
    Browser(checkout.json()["data"]["url"]).press("Subscribe", **card())
    poll_until(lambda: person.balance()["available"], lambda credits: credits > 100)
    person.wait_for_end(person.generate(prompt=PROMPT).json()["data"]["generation"]["id"])
    assert person.http.delete("/api/users/me").status_code == 200
    assert stored(stack, PROMPT)
    assert stored(stack, person.workspace_id)

    make_due(stack, user_id)
    assert stack.running.invoke("SchedulesEraseDueFunction", {})["begun"] == 1

    def found() -> dict[str, int]:
        words = stored(stack, PROMPT) | stored(stack, person.email)
        # What Stripe says about the deletion comes later.
        return {name: count for name, count in words.items() if "Inbox" not in name}

    assert poll_until(found, lambda words: words == {}) == {}
    poll_until(lambda: customers_of(person, stack), lambda found: found == 0)
    # The second pass, which the state machine begins an hour later.
    last = {"subject": user_id, "is_last": True}
    assert stack.running.invoke("TasksEraseFunction", last)["has_ended"]
    assert stored(stack, PROMPT) | stored(stack, person.email) == {}
    # Tables, logs, queues, and executions with their histories; not what the local stack has saved of itself before.
    places = find_in_stack(stack.running, [PROMPT])
    assert [place for place in places if "/saved/" not in place] == []
    log_in = {"email": person.email, "password": "correct horse battery"}
    assert person.http.post("/api/auth/login", json=log_in).status_code == 401
    # The organisation is as it was, without the member.
    members = poll_until(
        lambda: owner.get(f"/api/workspaces/{team}/members").json()["data"]["items"], lambda each: len(each) == 1
    )
    assert [member["role"] for member in members] == ["owner"]


def test_a_clean_up_has_the_permissions_that_it_needs(stack: Stack) -> None:
    for mode in ("report", "act"):
        assert stack.running.invoke("SchedulesCleanUpFunction", {"mode": mode})["has_ended"]
