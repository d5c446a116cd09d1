"""The room of the platform's administrators in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from atelier.adapters.aws.dynamodb.backups.drills import DynamoDrills
from atelier.adapters.aws.dynamodb.backups.store import DynamoBackups
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.backups.drill import Drill, DrillStage, DrillState
from atelier.backups.model import Backup, BackupMethod, BackupScope
from atelier.ledger.model import DailyCreditRule
from atelier.ledger.post import PostDeps
from infra.make_admin import FUNCTION, make_admin
from tests.embedded_aws import clear_wiring_caches
from tests.local.client import AccountClient, verify_email
from tests.local.conftest import Stack
from tests.local.studio.pages import ADMIN_PAGES
from tests.local.studio.test_every_page import MARKER, check_page
from tests.local.studio.test_security import set_up_app
from tests.orphaned_escrows import write_orphaned_escrow
from tests.polling import wait_until

REASON = "The picture of Monday was broken"


@pytest.fixture
def administrator(page: Page, stack: Stack, sign_up: Callable[[], str]) -> Page:
    """The page of an administrator who has just set up an authenticator app."""
    email = sign_up()
    verify_email(stack.base_url, email)
    functions = stack.running.aws().client("lambda")
    assert make_admin(email, stack.running.resource(FUNCTION), functions=functions) == 0
    # Without a second factor the API says what is missing.
    page.goto("/admin")
    expect(page.get_by_text("needs a second factor")).to_be_visible()
    page.goto("/security")
    set_up_app(page)
    page.goto("/admin")
    return page


def send_dead_letter(stack: Stack) -> None:
    queues = stack.running.aws().client("sqs")
    body = json.dumps({"shard": 3, "after": MARKER})
    queues.send_message(QueueUrl=stack.running.resource("MessagingResetsDeadLetters"), MessageBody=body)


def write_update(page: Page, title: str, user_id: str = "") -> str:
    """Writes the draft of an update; returns its id."""
    page.goto("/admin/updates")
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text", exact=True).fill(f"{MARKER} in two\nlines")
    page.get_by_label("Label of the link").fill("See the plan")
    page.get_by_label("Address of the link").fill("/plan")
    page.get_by_label("User (id)").fill(user_id)
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_text("As people see it")).to_be_visible()
    return page.url.rpartition("/")[2]


def test_pages_of_administrators_are_as_all_others(administrator: Page, stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    user = person.get("/api/auth/me").json()["data"]["user"]
    # The day's credits are the first entry.
    assert person.balance()["available"] > 0
    send_dead_letter(stack)
    generation = person.generate(wait=25).json()["data"]["generation"]["id"]
    update = write_update(administrator, MARKER)
    ids = {"user": user["id"], "wallet": person.workspace_id, "queue": "resets", "generation": generation}
    ids["update"] = update
    for name, path in ADMIN_PAGES.items():
        check_page(administrator, name, path.format(**ids))


def test_a_person_is_found_suspended_and_let_in_again(administrator: Page, stack: Stack) -> None:
    person, page = AccountClient(stack.base_url), administrator
    page.get_by_label("E-mail address", exact=True).fill(person.email[:12])
    page.get_by_role("button", name="Find users").click()
    page.get_by_role("link", name=person.email).click()
    page.get_by_label("Reason").fill("Sells access to the account")
    page.get_by_role("button", name="Suspend the account").click()
    expect(page.get_by_text("Sells access to the account")).to_be_visible()
    assert person.http.post("/api/tokens", json={"name": "n", "scopes": ["read"]}).status_code == 401
    page.get_by_role("button", name="End the suspension").click()
    expect(page.get_by_role("button", name="Suspend the account")).to_be_visible()


def test_a_wallet_is_corrected_and_frozen(administrator: Page, stack: Stack) -> None:
    person, page = AccountClient(stack.base_url), administrator
    before = person.balance()["available"]
    page.get_by_label("Workspace (its id)").fill(person.workspace_id)
    page.get_by_role("button", name="Show the wallet").click()
    page.get_by_label("Credits", exact=True).fill("25")
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_role("button", name="Correct", exact=True).click()
    expect(page.get_by_text(REASON)).to_be_visible()
    assert person.balance()["available"] == before + 25

    page.get_by_label("Credits", exact=True).fill("-100000")
    page.get_by_label("Reason", exact=True).fill(REASON)
    page.get_by_role("button", name="Correct", exact=True).click()
    page.goto("/admin")
    expect(page.get_by_role("heading", name="-100000 credits")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Another administrator has to approve this.")).to_be_visible()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("heading", name="-100000 credits")).to_have_count(0)

    page.goto(f"/admin/wallets/{person.workspace_id}")
    page.get_by_label("Reason for freezing").fill("The card was stolen")
    page.get_by_role("button", name="Freeze the wallet").click()
    expect(page.get_by_role("button", name="Unfreeze the wallet")).to_be_visible()
    assert person.generate().status_code == 403


def test_credits_that_are_held_for_nothing_are_given_back(
    administrator: Page, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, page = AccountClient(stack.base_url), administrator
    before = person.balance()["available"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.running.endpoint)
    clear_wiring_caches()
    wallets = DynamoWallets()
    wallets.bind(stack.running.table("ledger"))
    deps = PostDeps(wallets, lambda tier: DailyCreditRule(50), lambda tries: None)
    id = write_orphaned_escrow(person.workspace_id, 40, deps=deps, now=datetime.now(UTC))
    clear_wiring_caches()

    check_page(page, "admin_wallet", f"/admin/wallets/{person.workspace_id}")
    held = page.get_by_role("region", name="Held without a purchase")
    expect(held.get_by_text(id)).to_be_visible()
    expect(held.get_by_text("40 credits")).to_be_visible()
    held.get_by_label("Reason for giving back").fill(REASON)
    held.get_by_role("button", name="Give the credits back").click()
    expect(held).to_have_count(0)
    expect(page.get_by_text(REASON)).to_be_visible()
    assert (person.balance()["available"], person.balance()["held"]) == (before + 40, 0)


def test_a_failed_message_is_sent_again(administrator: Page, stack: Stack) -> None:
    page = administrator
    send_dead_letter(stack)
    page.goto("/admin/dead-letters/resets")
    expect(page.locator("pre").first).to_contain_text("shard")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("No failed messages")).to_be_visible()


def test_what_needs_attention_stands_first_with_its_runbook(administrator: Page, stack: Stack) -> None:
    page = administrator
    send_dead_letter(stack)
    alarm, queue = (
        stack.running.resource(name) for name in ("ObservabilityResetsDeadLettersAlarm", "MessagingResetsDeadLetters")
    )
    watch = stack.running.aws().client("cloudwatch").describe_alarms
    wait_until(lambda: watch(AlarmNames=[alarm], StateValue="ALARM")["MetricAlarms"], 30)
    page.get_by_role("link", name="Health: tables, queues").click()
    expect(page.get_by_text("Something needs attention.")).to_be_visible()
    fired = page.get_by_role("listitem").filter(has_text=alarm)
    expect(fired.get_by_text("dead_letters", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name=queue.rpartition("/")[2])).to_be_visible()
    expect(page.get_by_role("cell", name=stack.running.table("ledger"), exact=True)).to_be_visible()
    stack.running.aws().client("sqs").purge_queue(QueueUrl=queue)


def test_a_stuck_generation_is_found_and_ended(administrator: Page, stack: Stack) -> None:
    person, page = AccountClient(stack.base_url), administrator
    before = person.balance()["available"]
    stuck = person.generate("a lake [[run:hang]]", model="replicate/sdxl", width=512, height=512)
    id = stuck.json()["data"]["generation"]["id"]
    page.get_by_label("Generation (its id)").fill(id)
    page.get_by_role("button", name="Show the generation").click()
    expect(page.get_by_text("Deadline", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="hold")).to_be_visible()
    expect(page.get_by_text("a lake")).to_have_count(0)
    page.get_by_label("Reason").fill(MARKER)
    page.get_by_role("button", name="End the generation").click()
    expect(page.get_by_text("expired", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="End the generation")).to_have_count(0)
    assert (person.generation(id)["status"], person.balance()["available"]) == ("expired", before)
    # One that does not exist is said not to exist.
    assert page.request.get("/admin/generations/gen_none").status == 404


def test_a_model_is_switched_off_and_on(administrator: Page, stack: Stack) -> None:
    page, model = administrator, "replicate/sdxl"
    page.get_by_role("link", name="Providers and models").click()
    page.get_by_label("Provider", exact=True).select_option("replicate")
    page.get_by_label("Model").fill(model)
    page.get_by_label("Reason").fill("Its pictures are green")
    page.get_by_label("Hours").fill("721")
    page.locator("form[action$=switch-off]").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator("#e-hours")).to_be_visible()
    assert page.get_by_label("Reason").input_value() == "Its pictures are green"
    page.get_by_label("Hours").fill("2")
    page.get_by_role("button", name="Switch off").click()
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=model))
    expect(card.get_by_text("switched off", exact=True)).to_be_visible()

    def answered() -> int:
        # A new account each time, so that its credits last.
        return AccountClient(stack.base_url).generate(model=model, width=512, height=512).status_code

    # A warm process knows the health of some seconds ago.
    wait_until(lambda: answered() == 503, 30)
    card.get_by_role("button", name=f"Use {model} again").click()
    expect(page.get_by_text("switched off", exact=True)).to_have_count(0)
    wait_until(lambda: answered() == 202, 30)


def test_a_job_is_run_now(administrator: Page) -> None:
    page = administrator
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="reset-daily-credits")).to_be_visible()
    page.get_by_role("button", name="Run now: refresh-sunsets").click()
    expect(page.get_by_text("Started: refresh-sunsets.")).to_be_visible()
    # Only a job that is listed is said to have been started.
    page.goto("/admin/jobs?started=anything")
    expect(page.get_by_role("status")).to_have_count(0)


@pytest.fixture
def drilled(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a drill that has found something, in the records of the stack, with its backup."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.running.endpoint)
    clear_wiring_caches()
    table, at = stack.running.table("backups"), datetime.now(UTC)
    backup, drill = f"bak_{at:%Y%m%d%H%M%S%f}", f"drl_{at:%Y%m%d%H%M%S%f}"
    DynamoBackups(table).create(Backup(backup, BackupScope.DAILY, BackupMethod.SEGMENTS, "bucket", at, at))
    found = Drill(drill, backup, "daily/", at, DrillState.FAILED, at, DrillStage.ENDED, problems=(MARKER,))
    DynamoDrills(table).create(found)
    clear_wiring_caches()
    return drill


def test_a_drill_says_what_it_has_found(administrator: Page, drilled: str) -> None:
    page = administrator
    page.get_by_role("link", name="Backups and drills").click()
    drill = page.get_by_role("listitem").filter(has_text=drilled)
    expect(drill.get_by_text("failed", exact=True)).to_be_visible()
    expect(drill.get_by_text(MARKER)).to_be_visible()
    expect(drill.get_by_text("The scratch tables are still there.")).to_be_visible()
    check_page(page, "admin_backups", "/admin/backups")


def test_the_margin_of_models_is_shown_week_by_week(administrator: Page) -> None:
    page = administrator
    page.get_by_role("link", name="Margin of models").click()
    expect(page.get_by_role("columnheader", name="Margin")).to_be_visible()
    page.get_by_role("link", name="The week before").click()
    expect(page.get_by_text("Nothing was ordered in this week.")).to_be_visible()


def test_the_way_to_the_room_is_shown_to_administrators_alone(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.get_by_label("Account").click()
    expect(page.get_by_role("link", name="Profile")).to_be_visible()
    expect(page.get_by_role("link", name="Administration")).to_have_count(0)


def test_an_administrator_chooses_who_writes_and_is_told_what_is_wrong(administrator: Page, stack: Stack) -> None:
    person, page = AccountClient(stack.base_url), administrator
    made = person.http.post("/api/workspaces", json={"name": "Atlas"}).json()["data"]["workspace"]["id"]
    page.get_by_role("link", name="Editorial settings").click()
    page.get_by_label("Editorial workspace").fill(person.workspace_id)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is no organisation")).to_be_visible()
    page.get_by_label("Editorial workspace").fill(made)
    page.get_by_label("Name of the feeds").fill(MARKER)
    page.get_by_label("Another person has to approve").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/admin/editorial")
    expect(page.get_by_label("Another person has to approve")).to_be_checked()
    expect(page.get_by_label("Editorial workspace")).to_have_value(made)
    check_page(page, "admin_editorial", "/admin/editorial")
