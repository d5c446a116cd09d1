"""`python -m infra.analytics_rebuild`: what `make analytics-rebuild` runs. Compares the sums of a workspace with its
generations and its ledger, and with --repair adds what is missing.

Hours of the last day are left out, because changes may still be on their way. Needs AWS credentials that may read the
stack and invoke its function; with AWS_ENDPOINT_URL it does the same on a local stack.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

FUNCTION = "TasksRebuildAnalyticsFunction"


def rebuild(workspace_id: str, stack: str, *, repairs: bool, cloudformation: Any, functions: Any) -> int:
    """Returns the exit code, 0 also when something was repaired, and prints the result."""
    found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=FUNCTION)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    payload = json.dumps({"workspace_id": workspace_id, "repairs": repairs}).encode()
    while True:
        response = functions.invoke(FunctionName=name, Payload=payload)
        result = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            print(f"atelier: stopped: {result.get('errorMessage', result)}; run it again to go on", file=sys.stderr)
            return 1
        if result["is_done"]:
            break
        print(f"atelier: {result['records']} records so far …", flush=True)
    done = "were repaired" if repairs else "differ"
    print(f"atelier: {result['records']} records; {result['differences']} sums {done}")
    if result["hours_left_out"]:
        print(f"atelier: {result['hours_left_out']} hours are still changing and were left out")
    for example in result["examples"]:
        print(
            f"  {example['hour']} {example['dataset']} {' '.join(filter(None, example['group']))}: {example['missing']}"
        )
    return 0 if repairs or not result["differences"] else 2


def _main() -> int:
    import boto3

    parser = argparse.ArgumentParser(prog="python -m infra.analytics_rebuild", allow_abbrev=False)
    parser.add_argument("--stack-name", default="atelier")
    parser.add_argument("--region")
    parser.add_argument("--repair", action="store_true", help="add what is missing; without it, only compare")
    parser.add_argument("workspace_id")
    chosen = parser.parse_args()
    cloudformation, functions = (
        boto3.client(service, region_name=chosen.region) for service in ("cloudformation", "lambda")
    )
    return rebuild(
        chosen.workspace_id,
        chosen.stack_name,
        repairs=chosen.repair,
        cloudformation=cloudformation,
        functions=functions,
    )


if __name__ == "__main__":
    sys.exit(_main())
