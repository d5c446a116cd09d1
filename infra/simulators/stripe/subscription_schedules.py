"""Subscription schedules: other prices from a later date on, as for a downgrade at the end of a period."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.form import MAP, choice, one_of
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.pending_updates import expire_pending_update
from infra.simulators.stripe.periods import add_intervals
from infra.simulators.stripe.schedule import SOURCES, Due
from infra.simulators.stripe.shapes import names_of
from infra.simulators.stripe.subscription_changes import update_subscription
from infra.simulators.stripe.subscription_items import interval_of, period_of
from infra.simulators.stripe.subscriptions import OVER, PRORATION, cancel_now

PHASE: dict[str, Any] = {
    "duration": {"interval": choice("day", "month", "week", "year"), "interval_count": int},
    "end_date": one_of(choice("now"), int),
    "items": [{"metadata": MAP, "price": str, "quantity": int}],
    "metadata": MAP,
    "proration_behavior": PRORATION,
    "start_date": one_of(choice("now"), int),
    "trial": bool,
}
UPDATE: dict[str, Any] = {
    "end_behavior": choice("cancel", "release"),
    "metadata": MAP,
    "phases": [PHASE],
    "proration_behavior": PRORATION,
}
NULLS = names_of(
    "application_fee_percent automatic_tax billing_cycle_anchor billing_thresholds collection_method "
    "default_payment_method description invoice_settings on_behalf_of transfer_data trial_end"
)


def create_schedule(account: Account, params: Object) -> Object:
    """The schedule of a subscription; its one phase is the current period."""
    subscription = account.find("subscription", params["from_subscription"], "from_subscription")
    text = f"You cannot migrate a subscription that is already attached to a schedule: {subscription['schedule']}."
    require(subscription["schedule"] is None, text, "from_subscription")
    require(subscription["status"] not in OVER, "You cannot migrate a canceled subscription.", "from_subscription")
    clock = subscription["test_clock"]
    schedule = account.create(
        "subscription_schedule",
        account.new_id("sub_sched"),
        clock,
        customer=subscription["customer"],
        subscription=subscription["id"],
        test_clock=clock,
    )
    start, end = period_of(subscription)
    items = [{"price": item["price"]["id"], "quantity": item["quantity"]} for item in subscription["items"]["data"]]
    schedule["phases"] = [_phase(subscription, items, start, end, {})]
    schedule["current_phase"] = {"end_date": end, "start_date": start}
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["schedule"] = schedule["id"]
    account.emit("subscription_schedule.created", schedule)
    return schedule


def _phase(subscription: Object, items: list[Object], start: int, end: int, given: Object) -> Object:
    shown = [
        {
            "billing_thresholds": None,
            "discounts": [],
            "metadata": item.get("metadata") or {},
            "plan": item["price"],
            "price": item["price"],
            "quantity": 1 if item.get("quantity") is None else item["quantity"],
            "tax_rates": [],
        }
        for item in items
    ]
    return {
        **dict.fromkeys(NULLS),
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "discounts": [],
        "end_date": end,
        "items": shown,
        "metadata": given.get("metadata") or {},
        "proration_behavior": given.get("proration_behavior") or "create_prorations",
        "start_date": start,
        "trial_end": end if given.get("trial") else None,
    }


def update_schedule(account: Account, params: Object, id: str) -> Object:
    """Set the phases, of which the first is the current one, and what happens after the last."""
    schedule = _active(account, id)
    with account.changing(schedule, "subscription_schedule.updated"):
        assign(schedule, params, "end_behavior", "metadata")
        if params.get("phases"):
            schedule["phases"] = _phases(account, schedule, params["phases"])
            first = schedule["phases"][0]
            schedule["current_phase"] = {name: first[name] for name in ("end_date", "start_date")}
    return schedule


def _phases(account: Account, schedule: Object, given: list[Object]) -> list[Object]:
    subscription = account.objects[schedule["subscription"]]
    now = account.now(schedule["test_clock"])
    start = given[0].get("start_date")
    text = "The first phase must begin when the current phase began."
    require(start in (schedule["current_phase"]["start_date"], "now"), text, "phases[0][start_date]")
    start = now if start == "now" else start
    phases: list[Object] = []
    for index, each in enumerate(given):
        param = f"phases[{index}]"
        require(each.get("items"), f"Missing required param: {param}[items].", f"{param}[items]", "parameter_missing")
        prices = [account.find("price", item.get("price"), f"{param}[items]") for item in each["items"]]
        wanted = each.get("start_date")
        require(
            index == 0 or wanted in (None, start),
            "Each phase must begin when the one before ends.",
            f"{param}[start_date]",
        )
        end = _end_of(each, start, prices[0], now)
        require(end > start, "A phase must end after it begins.", f"{param}[end_date]")
        phases.append(_phase(subscription, each["items"], start, end, each))
        start = end
    require(phases[0]["end_date"] > now, "The current phase must end in the future.", "phases[0][end_date]")
    return phases


def _end_of(phase: Object, start: int, price: Object, now: int) -> int:
    if phase.get("end_date") is not None:
        return now if phase["end_date"] == "now" else phase["end_date"]
    duration = phase.get("duration")
    if duration:
        return add_intervals(start, duration["interval"], duration.get("interval_count") or 1)
    interval, count = interval_of({"price": price})
    return add_intervals(start, interval, count)


def _active(account: Account, id: str) -> Object:
    schedule = account.find("subscription_schedule", id, in_path=True)
    text = f"This schedule is {schedule['status']}: only an active one can be changed."
    require(schedule["status"] in ("active", "not_started"), text)
    return schedule


def release_schedule(account: Account, params: Object, id: str) -> Object:
    """The subscription goes on as it is, without the schedule."""
    schedule = _active(account, id)
    _release(account, schedule)
    return schedule


def _release(account: Account, schedule: Object) -> None:
    subscription = account.objects[schedule["subscription"]]
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["schedule"] = None
    schedule.update(
        status="released",
        released_at=account.now(schedule["test_clock"]),
        released_subscription=subscription["id"],
        subscription=None,
        current_phase=None,
    )
    account.emit("subscription_schedule.released", schedule)


def cancel_schedule(account: Account, params: Object, id: str) -> Object:
    """The subscription ends with its schedule."""
    schedule = _active(account, id)
    cancel_now(account, account.objects[schedule["subscription"]])
    schedule.update(status="canceled", canceled_at=account.now(schedule["test_clock"]), current_phase=None)
    account.emit("subscription_schedule.canceled", schedule)
    return schedule


def schedule_dues(account: Account, schedule: Object) -> Iterator[Due]:
    """The end of the current phase."""
    if schedule["status"] == "active" and schedule["current_phase"]:
        yield schedule["current_phase"]["end_date"], lambda: _end_phase(account, schedule)


def _end_phase(account: Account, schedule: Object) -> None:
    subscription = account.objects[schedule["subscription"]]
    if subscription["status"] in OVER:
        schedule.update(status="canceled", canceled_at=subscription["ended_at"], current_phase=None)
        account.emit("subscription_schedule.canceled", schedule)
        return
    end = schedule["current_phase"]["end_date"]
    following = next((phase for phase in schedule["phases"] if phase["start_date"] == end), None)
    if following is None:
        _end_schedule(account, schedule, subscription)
        return
    with account.changing(schedule, "subscription_schedule.updated"):
        schedule["current_phase"] = {name: following[name] for name in ("end_date", "start_date")}
    current = copy.deepcopy(subscription["items"]["data"])
    changes: list[Object] = []
    for index, item in enumerate(following["items"]):
        known = {"id": current[index]["id"]} if index < len(current) else {}
        changes.append({**known, "price": item["price"], "quantity": item["quantity"]})
    changes += [{"id": item["id"], "deleted": True} for item in current[len(following["items"]) :]]
    expire_pending_update(account, subscription)
    given: Object = {"items": changes, "proration_behavior": following["proration_behavior"]}
    if following["metadata"]:
        given["metadata"] = following["metadata"]
    update_subscription(account, given, subscription["id"])


def _end_schedule(account: Account, schedule: Object, subscription: Object) -> None:
    if schedule["end_behavior"] == "release":
        _release(account, schedule)
        return
    cancel_now(account, subscription)
    schedule.update(status="completed", completed_at=account.now(schedule["test_clock"]), current_phase=None)
    account.emit("subscription_schedule.completed", schedule)


SOURCES["subscription_schedule"] = schedule_dues
PATH = "/v1/subscription_schedules"
OPERATIONS = [
    Operation("POST", PATH, create_schedule, {"from_subscription": str, "metadata": MAP}, ("from_subscription",)),
    listing("subscription_schedule", PATH, created=TIMES, customer=str),
    retrieval("subscription_schedule", PATH),
    Operation("POST", f"{PATH}/{{id}}", update_schedule, UPDATE),
    Operation("POST", f"{PATH}/{{id}}/release", release_schedule),
    Operation("POST", f"{PATH}/{{id}}/cancel", cancel_schedule),
]
