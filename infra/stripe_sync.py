"""`python -m infra.stripe_sync`: what `make stripe-sync` runs. Shows where Stripe's products and prices differ from the
price list (`catalogue/tiers.yaml`); with --apply it writes the differences to Stripe.

Needs AWS credentials that may read the stack and invoke its function.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

FUNCTION = "TasksSyncPricesFunction"


def sync(stack: str, *, apply: bool, cloudformation: Any, functions: Any) -> int:
    """Returns the exit code and prints the differences."""
    found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=FUNCTION)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    response = functions.invoke(FunctionName=name, Payload=json.dumps({"apply": apply}).encode())
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        print(f"atelier: not compared: {result.get('errorMessage', result)}", file=sys.stderr)
        return 1
    print(result["table"])
    if result["steps"]:
        left = result["steps"] - result["applied"]
        advice = "" if apply else "; APPLY=1 writes them"
        print(f"atelier: {result['applied']} steps done, {left} left{advice}")
    return 0


def _main() -> int:
    import boto3

    parser = argparse.ArgumentParser(prog="python -m infra.stripe_sync", allow_abbrev=False)
    parser.add_argument("--stack-name", default="atelier")
    parser.add_argument("--region")
    parser.add_argument("--apply", action="store_true")
    chosen = parser.parse_args()
    cloudformation, functions = (
        boto3.client(service, region_name=chosen.region) for service in ("cloudformation", "lambda")
    )
    return sync(chosen.stack_name, apply=chosen.apply, cloudformation=cloudformation, functions=functions)


if __name__ == "__main__":
    sys.exit(_main())
