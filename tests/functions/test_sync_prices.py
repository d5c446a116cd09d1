"""functions/tasks/sync_prices and `make stripe-sync`, against the simulator."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from infra.simulators.stripe.server import StripeSimulator
from infra.stripe_sync import sync
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.invoke import example_event, load_function


class Deployed:
    """CloudFormation's and Lambda's responses about the function."""

    def describe_stack_resource(self, **parameters: str) -> dict[str, Any]:
        assert parameters == {"StackName": "mine", "LogicalResourceId": "TasksSyncPricesFunction"}
        return {"StackResourceDetail": {"PhysicalResourceId": "atelier-sync-prices"}}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "atelier-sync-prices"
        try:
            result = load_function("tasks/sync_prices").handler(json.loads(Payload), None)
        except Exception as error:
            failed = json.dumps({"errorMessage": str(error)}).encode()
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(failed)}
        return {"Payload": io.BytesIO(json.dumps(result).encode())}


def test_the_schedule_and_the_example_only_compare(stripe: StripeSimulator) -> None:
    handler = load_function("tasks/sync_prices").handler
    for event in (example_event("tasks/sync_prices/compare"), {"source": "aws.scheduler"}, {"apply": "yes"}):
        report = handler(event, None)
        assert (report["steps"] > 0, report["applied"]) == (True, 0)
    done = handler({"apply": True}, None)
    assert done["applied"] == done["steps"] == report["steps"]
    assert handler({}, None) == {"steps": 0, "applied": 0, "table": "Stripe has the price list."}


def test_an_operator_compares_and_writes_from_the_command_line(
    stripe: StripeSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Deployed()
    assert sync("mine", apply=False, cloudformation=aws, functions=aws) == 0
    shown = capsys.readouterr().out
    assert "create price" in shown
    assert "0 steps done, 15 left; APPLY=1 writes them" in shown
    assert sync("mine", apply=True, cloudformation=aws, functions=aws) == 0
    assert "15 steps done, 0 left" in capsys.readouterr().out
    assert sync("mine", apply=False, cloudformation=aws, functions=aws) == 0
    assert capsys.readouterr().out.rstrip().endswith("Stripe has the price list.")


def test_a_refused_key_is_said_and_nothing_is_compared(
    stripe: StripeSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    stripe.behave("read:403")
    aws = Deployed()
    assert sync("mine", apply=True, cloudformation=aws, functions=aws) == 1
    assert "not compared: Payments are not available now." in capsys.readouterr().err


def test_nothing_is_compared_where_nothing_is_sold(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PAYMENTS", "")
    clear_wiring_caches(clients=False)
    assert load_function("tasks/sync_prices").handler({"apply": True}, None)["steps"] == 0
