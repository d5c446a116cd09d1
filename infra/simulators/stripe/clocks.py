"""Test clocks: customers that live in a time of their own, which moves when it is told to."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.operations import Operation, listing, retrieval
from infra.simulators.stripe.periods import DAY, add_intervals
from infra.simulators.stripe.schedule import run_until
from infra.simulators.stripe.subscription_items import interval_of

DAYS_KEPT = 30
# How many intervals of its shortest subscription a clock may move at once.
INTERVALS_MAX = 2


def create_clock(account: Account, params: Object) -> Object:
    clock = account.create(
        "test_helpers.test_clock",
        account.new_id("clock"),
        created=account.time,
        deletes_after=account.time + DAYS_KEPT * DAY,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
    )
    account.emit("test_helpers.test_clock.created", clock)
    return clock


def advance_clock(account: Account, params: Object, id: str) -> Object:
    """Move a clock: all that falls due happens. The answer still says that it is advancing, as Stripe's does."""
    clock = account.find("test_helpers.test_clock", id, in_path=True)
    target = params["frozen_time"]
    text = "frozen_time must be after the current frozen time of the test clock."
    require(target > clock["frozen_time"], text, "frozen_time")
    _check_distance(account, clock, target)
    clock.update(status="advancing", status_details={"advancing": {"target_frozen_time": target}})
    account.emit("test_helpers.test_clock.advancing", clock)
    answer = {**clock, "frozen_time": target}
    run_until(account, id, target)
    clock.update(status="ready", status_details={})
    account.emit("test_helpers.test_clock.ready", clock)
    return answer


def _check_distance(account: Account, clock: Object, target: int) -> None:
    limits: list[int] = []
    for subscription in account.all("subscription", test_clock=clock["id"]):
        interval, count = interval_of(subscription["items"]["data"][0])
        limits.append(add_intervals(clock["frozen_time"], interval, INTERVALS_MAX * count))
    limit = min(limits, default=add_intervals(clock["frozen_time"], "year", INTERVALS_MAX))
    text = "You cannot advance a test clock by more than two intervals from the current frozen time at once."
    require(target <= limit, text, "frozen_time")


def delete_clock(account: Account, params: Object, id: str) -> Object:
    """Removes the clock and its customers with all that is theirs."""
    clock = account.find("test_helpers.test_clock", id, in_path=True)
    customers = {each["id"] for each in account.all("customer", test_clock=id)}
    for obj in list(account.objects.values()):
        if obj["id"] in customers or obj.get("customer") in customers:
            account.delete(obj)
    account.emit("test_helpers.test_clock.deleted", clock)
    return account.delete(clock)


PATH = "/v1/test_helpers/test_clocks"
OPERATIONS = [
    Operation("POST", PATH, create_clock, {"frozen_time": int, "name": str}, ("frozen_time",)),
    listing("test_helpers.test_clock", PATH),
    retrieval("test_helpers.test_clock", PATH),
    Operation("POST", f"{PATH}/{{id}}/advance", advance_clock, {"frozen_time": int}, ("frozen_time",)),
    Operation("DELETE", f"{PATH}/{{id}}", delete_clock),
]
