"""`python -m infra.verify_email`: what `make verify-email` runs. Marks an account's e-mail address as verified.

Until codes are sent by e-mail, an operator does this to release an account's daily credits where the deployment gives
them to verified mailboxes only. Needs AWS credentials that may read the stack and invoke its function.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

FUNCTION = "TasksVerifyEmailFunction"


def verify(email: str, stack: str, *, cloudformation: Any, functions: Any) -> int:
    """Returns the exit code and prints the result."""
    found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=FUNCTION)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    response = functions.invoke(FunctionName=name, Payload=json.dumps({"email": email}).encode())
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        print(f"atelier: not verified: {result.get('errorMessage', result)}", file=sys.stderr)
        return 1
    print(f"atelier: {email} is verified since {result['email_verified_at']} ({result['user_id']})")
    return 0


def _main() -> int:
    import boto3

    parser = argparse.ArgumentParser(prog="python -m infra.verify_email", allow_abbrev=False)
    parser.add_argument("--stack-name", default="atelier")
    parser.add_argument("--region")
    parser.add_argument("email")
    chosen = parser.parse_args()
    cloudformation, functions = (
        boto3.client(service, region_name=chosen.region) for service in ("cloudformation", "lambda")
    )
    return verify(chosen.email, chosen.stack_name, cloudformation=cloudformation, functions=functions)


if __name__ == "__main__":
    sys.exit(_main())
