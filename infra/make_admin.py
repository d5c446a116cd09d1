"""`python -m infra.make_admin`: what `make admin` runs. Makes an account an administrator of the platform.

The first administrator is made so; the others can be made by one. Without a stack it speaks to the local one. On AWS it
needs credentials that may read the stack and invoke its function.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

FUNCTION = "TasksMakeAdminFunction"
HANDLES_FILE = "stack.json"


def make_admin(email: str, function_name: str, *, functions: Any) -> int:
    """Returns the exit code and prints the result."""
    response = functions.invoke(FunctionName=function_name, Payload=json.dumps({"email": email}).encode())
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        print(f"atelier: not made: {result.get('errorMessage', result)}", file=sys.stderr)
        return 1
    print(f"atelier: {email} administers the platform ({result['user_id']})")
    if not result["second_factors"]:
        print("atelier: it needs a second factor before it can: add one in Studio, under Account")
    return 0


def _main() -> int:
    import boto3

    parser = argparse.ArgumentParser(prog="python -m infra.make_admin", allow_abbrev=False)
    parser.add_argument("--stack-name", default="", help="a deployed stack; empty = the one that `make run` serves")
    parser.add_argument("--data", type=Path, default=Path(".local"), help="folder of the local stack")
    parser.add_argument("--region")
    parser.add_argument("email")
    chosen = parser.parse_args()
    if chosen.stack_name:
        found = boto3.client("cloudformation", region_name=chosen.region).describe_stack_resource(
            StackName=chosen.stack_name, LogicalResourceId=FUNCTION
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        functions: Any = boto3.client("lambda", region_name=chosen.region)
    else:
        try:
            handles = json.loads((chosen.data / HANDLES_FILE).read_text("utf-8"))
        except FileNotFoundError:
            print(f"atelier: no stack runs on {chosen.data}; name a deployed one with STACK=…", file=sys.stderr)
            return 1
        name = handles["resources"][FUNCTION]
        access = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        functions = boto3.client("lambda", endpoint_url=handles["endpoint"], **access)
    return make_admin(chosen.email, name, functions=functions)


if __name__ == "__main__":
    sys.exit(_main())
