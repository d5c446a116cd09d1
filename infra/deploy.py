"""`python -m infra.deploy`: what `make deploy` runs after the build. One `sam deploy`; two when the address is new.

Functions have their public address as a parameter. Without an own domain that is the distribution's address, which
exists only after the functions do. So a first deployment is followed by a second one that sets the parameter; every
later one reads it from the stack's outputs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

BUILT_TEMPLATE = Path(".aws-sam/build/template.yaml")
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

Outputs = Mapping[str, str]


def deploy(
    arguments: Sequence[str],
    *,
    sam: Callable[[Sequence[str]], int] = lambda command: subprocess.run(["sam", *command], check=False).returncode,
    outputs_of: Callable[[str, str | None], Outputs] | None = None,
    publish: Callable[[str, str | None], None] | None = None,
) -> int:
    """Returns sam's exit code. Arguments that this module does not know are passed on to `sam deploy`.

    sam: runs one sam command. outputs_of: the outputs of a stack in a region; {} when there is no such stack. publish:
    puts Studio's static files into a bucket in a region."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", allow_abbrev=False)
    parser.add_argument("--stack-name", default="atelier")
    parser.add_argument("--stage", default="production")
    parser.add_argument("--region")
    parser.add_argument("--parameter-overrides", nargs="*", default=[], metavar="NAME=VALUE")
    chosen, rest = parser.parse_known_args(arguments)
    parameters = {"Stage": chosen.stage} | dict(pair.split("=", 1) for pair in chosen.parameter_overrides)
    outputs = outputs_of or _read_outputs
    publish = publish or _publish_static_files
    before = outputs(chosen.stack_name, chosen.region)
    public_url = parameters.get("PublicUrl") or before.get("Url", "")
    if not parameters.get("DomainName"):
        parameters["PublicUrl"] = public_url

    def run_sam() -> int:
        pairs = [f"{name}={value}" for name, value in parameters.items() if value]
        command = ["deploy", "--template-file", str(BUILT_TEMPLATE), "--stack-name", chosen.stack_name, "--resolve-s3"]
        command += ["--capabilities", *CAPABILITIES, "--no-fail-on-empty-changeset", "--parameter-overrides", *pairs]
        return sam([*command, *(["--region", chosen.region] if chosen.region else []), *rest])

    # Pages of the new version find their files from their first second; pages of the old one keep theirs.
    if "StaticBucket" in before:
        publish(before["StaticBucket"], chosen.region)
    code = run_sam()
    if code == 0 and "StaticBucket" not in before:
        publish(outputs(chosen.stack_name, chosen.region)["StaticBucket"], chosen.region)
    if code or parameters.get("DomainName") or "PublicUrl" not in parameters:
        return code
    address = outputs(chosen.stack_name, chosen.region).get("Url", "")
    if address == parameters["PublicUrl"]:
        return 0
    print(f"atelier: the stack answers at {address}; deploying once more to tell it so", flush=True)
    parameters["PublicUrl"] = address
    return run_sam()


def _read_outputs(stack: str, region: str | None) -> Outputs:
    import boto3
    from botocore.exceptions import ClientError

    try:
        [found] = boto3.client("cloudformation", region_name=region).describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return {}
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def _publish_static_files(bucket: str, region: str | None) -> None:
    import boto3

    from infra import static_files

    new = static_files.publish(boto3.client("s3", region_name=region), bucket, static_files.collect())
    print(f"atelier: {len(new)} new static files of Studio are in {bucket}", flush=True)


if __name__ == "__main__":
    sys.exit(deploy(sys.argv[1:]))
