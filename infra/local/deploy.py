"""Deploys the translated template to the embedded AWS: creates a CloudFormation change set and executes it.

Deploying again is cheap and touches only changed resources, so redeploying is also how new code takes effect.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infra import static_files
from infra.local import artifacts, translate

STACK = "atelier"
ARTIFACT_BUCKET = "atelier-artifacts"
TEMPLATE_KEY = "template.json"
UNPACKED_FOLDER = "layers"
DEPLOY_SECONDS_MAX = 180.0
NEVER_CREATED = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")


class DeploymentError(Exception):
    """The deployment failed; the text names the resource and the reason."""


class DeploymentUnfinished(Exception):
    """CloudFormation is still working after the time in which a deployment should have ended."""


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """A deployed stack. `resources`: logical id → physical id. `changed`: logical ids that this deployment touched."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    changed: tuple[str, ...]


class Aws:
    """Clients for the embedded AWS at `endpoint`, created at first use."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of one service."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            self._clients[service] = boto3.client(
                service,  # pyright: ignore[reportArgumentType, reportCallIssue]
                endpoint_url=self.endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(
                    retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}, max_pool_connections=32
                ),
            )
        return self._clients[service]


def deploy(root: Path, folder: Path, aws: Aws, parameters: Mapping[str, str]) -> DeployedStack:
    """Deploys the repository at `root`. `folder` keeps the translated template and the unpacked layers between runs.

    Raises DeploymentError, DeploymentUnfinished, translate.TemplateError, FileNotFoundError."""
    static_files.write_list(root)
    template = _translated_template(root, folder)
    built = artifacts.collect(root, _code_folders(template), folder / UNPACKED_FOLDER)
    _upload(aws, built)
    ready = translate.with_artifacts(template, {artifact.folder: artifact.key for artifact in built})
    declared = template.get("Parameters", {})
    unknown = sorted(set(parameters) - set(declared))
    if unknown:
        raise DeploymentError(f"template.yaml has no parameter {', '.join(unknown)}")
    changed = _apply(aws, ready, parameters)
    deployed = _describe(aws, changed)
    static_files.publish(aws.client("s3"), deployed.outputs["StaticBucket"], static_files.collect(root))
    return deployed


def _translated_template(root: Path, folder: Path) -> translate.Template:
    """The translated template; the last run's if no source of it has changed, because importing the translator takes a
    second."""
    templates = [
        root / "template.yaml",
        *sorted((root / "infra").glob("*.yaml")),
        *sorted((root / "statemachines").iterdir()),
    ]
    code = [Path(__file__).with_name(f"{module}.py") for module in ("translate", "flatten", "templates")]
    sources = [*templates, *code]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    cache_file = folder / "template.json"
    if cache_file.exists():
        recorded = json.loads(cache_file.read_text("utf-8"))
        if recorded["sources"] == digest:
            return recorded["template"]
    template = translate.translate(root, ARTIFACT_BUCKET)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    cache_file.write_text(json.dumps({"sources": digest, "template": template}), "utf-8")
    return template


def _code_folders(template: translate.Template) -> list[str]:
    folders = list(artifacts.OWN_LAYERS)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            folders.append(resource["Properties"]["Code"]["S3Key"])
    return folders


def _upload(aws: Aws, built: list[artifacts.Artifact]) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=ARTIFACT_BUCKET)
    present = {item["Key"] for item in s3.list_objects_v2(Bucket=ARTIFACT_BUCKET).get("Contents", [])}
    for artifact in built:
        artifact.unpack()
        if artifact.key not in present:
            s3.put_object(Bucket=ARTIFACT_BUCKET, Key=artifact.key, Body=artifact.archive())
    current = {Path(key).stem for key in (*present, *(artifact.key for artifact in built))}
    for store in {artifact.unpacked_folder.parent for artifact in built if artifact.unpacked_folder}:
        _remove_stale(store, current)
    for stale in present - {artifact.key for artifact in built} - {TEMPLATE_KEY}:
        s3.delete_object(Bucket=ARTIFACT_BUCKET, Key=stale)


def _remove_stale(store: Path, current: set[str]) -> None:
    """Removes unpacked layers other than the new one and the one it replaces, which workers may still be using."""
    for place in store.iterdir():
        if place.stem not in current:
            shutil.rmtree(place)


def _apply(aws: Aws, template: translate.Template, parameters: Mapping[str, str]) -> tuple[str, ...]:
    from botocore.exceptions import ClientError

    cloudformation = aws.client("cloudformation")
    statuses = [s["StackStatus"] for s in cloudformation.describe_stacks()["Stacks"] if s["StackName"] == STACK]
    name = f"change-{time.time_ns()}"
    aws.client("s3").put_object(Bucket=ARTIFACT_BUCKET, Key=TEMPLATE_KEY, Body=json.dumps(template).encode())
    try:
        cloudformation.create_change_set(
            StackName=STACK,
            ChangeSetName=name,
            ChangeSetType="CREATE" if not statuses or statuses[0] in NEVER_CREATED else "UPDATE",
            TemplateURL=f"{aws.endpoint}/{ARTIFACT_BUCKET}/{TEMPLATE_KEY}",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except ClientError as error:
        raise DeploymentError(f"CloudFormation refuses the template: {error.response['Error']['Message']}") from error
    change_set = _wait_until_done(
        lambda: cloudformation.describe_change_set(StackName=STACK, ChangeSetName=name), "Status"
    )
    if change_set["Status"] == "FAILED":
        if "didn't contain changes" not in change_set.get("StatusReason", ""):
            raise DeploymentError(f"CloudFormation refuses the template: {change_set.get('StatusReason', '')}")
        cloudformation.delete_change_set(StackName=STACK, ChangeSetName=name)
        return ()
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName=name)
    stack = _wait_until_done(lambda: cloudformation.describe_stacks(StackName=STACK)["Stacks"][0], "StackStatus")
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeploymentError(_first_failure(cloudformation, change_set["CreationTime"]) or stack["StackStatus"])
    return tuple(change["ResourceChange"]["LogicalResourceId"] for change in change_set["Changes"])


def _wait_until_done(describe: Callable[[], Any], status: str) -> Any:
    deadline = time.monotonic() + DEPLOY_SECONDS_MAX
    while time.monotonic() < deadline:
        described = describe()
        if not described[status].endswith(("_IN_PROGRESS", "_PENDING")):
            return described
        time.sleep(0.02)
    raise DeploymentUnfinished(
        f"CloudFormation was not done within {DEPLOY_SECONDS_MAX:.0f} s; start again, no state is written until it is"
    )


def _first_failure(cloudformation: Any, since: datetime) -> str:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=STACK)
    failures = [
        event
        for page in pages
        for event in page["StackEvents"]
        if event["Timestamp"] >= since
        and event["ResourceStatus"].endswith("_FAILED")
        and event.get("ResourceStatusReason")
    ]
    if not failures:
        return ""
    # Events come newest first, so the last failure in the list is the one that caused the others.
    first = failures[-1]
    return f"{first['LogicalResourceId']} ({first['ResourceType']}): {first['ResourceStatusReason']}"


def _describe(aws: Aws, changed: tuple[str, ...]) -> DeployedStack:
    cloudformation = aws.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    return DeployedStack(
        {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
        changed,
    )
