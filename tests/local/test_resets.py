"""The daily reset on the deployed stack: schedule, queue and worker with the permissions of the template."""

from __future__ import annotations

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack


def test_an_unread_wallet_gets_its_daily_credits_once(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    assert person.statement() == []
    for _ in range(3):
        stack.running.invoke("SchedulesResetDailyCreditsFunction", {})
    poll_until(person.statement, lambda movements: [movement["kind"] for movement in movements] == ["grant"])
    assert person.balance()["available"] == 50
    assert len(person.statement()) == 1
    person.assert_books_balance()
