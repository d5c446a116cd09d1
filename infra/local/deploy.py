"""Deploys the translated template to the embedded AWS: creates CloudFormation change sets and executes them.

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
from infra.local.split import Stacks, split

STACK = "atelier"
# Begins as the names of nested stacks do on AWS, and so the names of its alarms.
OBSERVERS_STACK = f"{STACK}-Observers"
ARTIFACT_BUCKET = "atelier-artifacts"
TEMPLATE_KEY = "template.json"
UNPACKED_FOLDER = "layers"
# In the data folder: the templates of the last run, with what they were made from.
TRANSLATED_FILE = "template.json"
DEPLOY_SECONDS_MAX = 180.0
NEVER_CREATED = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")


class DeploymentError(Exception):
    """The deployment failed; the text names the resource and the reason."""


class DeploymentUnfinished(Exception):
    """CloudFormation is still working after the time in which a deployment should have ended."""


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """What is deployed, in both stacks. `outputs`: of the first. `resources`: logical id → physical id. `changed`:
    logical ids that this deployment touched."""

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
    stacks = _translated_template(root, folder)
    built = artifacts.collect(root, _code_folders(stacks.product), folder / UNPACKED_FOLDER)
    _upload(aws, built)
    ready = translate.with_artifacts(stacks.product, {artifact.folder: artifact.key for artifact in built}, root)
    declared = stacks.product.get("Parameters", {})
    unknown = sorted(set(parameters) - set(declared))
    if unknown:
        raise DeploymentError(f"template.yaml has no parameter {', '.join(unknown)}")
    changed = _apply(aws, STACK, ready, parameters)
    outputs = _outputs(aws, STACK)
    observed = {name: outputs[name] for name in stacks.observers["Parameters"]}
    changed += _apply(aws, OBSERVERS_STACK, stacks.observers, observed)
    deployed = DeployedStack(outputs, _resources(aws, STACK) | _resources(aws, OBSERVERS_STACK), changed)
    static_files.publish(aws.client("s3"), deployed.outputs["StaticBucket"], static_files.collect(root))
    return deployed


def _translated_template(root: Path, folder: Path) -> Stacks:
    """The translated templates; the last run's if no source of it has changed, because importing the translator takes a
    second."""
    templates = [
        root / "template.yaml",
        *sorted((root / "infra").glob("*.yaml")),
        *sorted((root / "statemachines").iterdir()),
    ]
    code = [Path(__file__).with_name(f"{module}.py") for module in ("translate", "flatten", "split", "templates")]
    sources = [*templates, *code]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    cache_file = folder / TRANSLATED_FILE
    if cache_file.exists():
        recorded = json.loads(cache_file.read_text("utf-8"))
        if recorded["sources"] == digest:
            return Stacks(recorded["product"], recorded["observers"])
    stacks = split(translate.translate(root, ARTIFACT_BUCKET))
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    recorded = {"sources": digest, "product": stacks.product, "observers": stacks.observers}
    cache_file.write_text(json.dumps(recorded), "utf-8")
    return stacks


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


def _create_lost_log_groups(aws: Aws) -> None:
    """Creates the log groups of the present stack that are not there: earlier versions of the embedded AWS made none
    for a template's, and a metric filter needs one."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    wanted = {each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::Logs::LogGroup"}
    groups = aws.client("logs").get_paginator("describe_log_groups").paginate()
    for missing in wanted - {each["logGroupName"] for page in groups for each in page["logGroups"]}:
        aws.client("logs").create_log_group(logGroupName=missing)


def _apply(aws: Aws, stack: str, template: translate.Template, parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Creates or updates a stack; returns the logical ids of what that touched."""
    from botocore.exceptions import ClientError

    cloudformation = aws.client("cloudformation")
    statuses = [s["StackStatus"] for s in cloudformation.describe_stacks()["Stacks"] if s["StackName"] == stack]
    if statuses and stack == STACK:
        _create_lost_log_groups(aws)
    name = f"change-{time.time_ns()}"
    aws.client("s3").put_object(Bucket=ARTIFACT_BUCKET, Key=TEMPLATE_KEY, Body=json.dumps(template).encode())
    try:
        cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if not statuses or statuses[0] in NEVER_CREATED else "UPDATE",
            TemplateURL=f"{aws.endpoint}/{ARTIFACT_BUCKET}/{TEMPLATE_KEY}",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except ClientError as error:
        raise DeploymentError(f"CloudFormation refuses the template: {error.response['Error']['Message']}") from error
    change_set = _wait_until_done(
        lambda: cloudformation.describe_change_set(StackName=stack, ChangeSetName=name), "Status"
    )
    if change_set["Status"] == "FAILED":
        if "didn't contain changes" not in change_set.get("StatusReason", ""):
            raise DeploymentError(f"CloudFormation refuses the template: {change_set.get('StatusReason', '')}")
        cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
        return ()
    changes = [change["ResourceChange"] for change in change_set["Changes"]]
    if any(each["ResourceType"] == "AWS::CloudWatch::Alarm" and each["Action"] == "Remove" for each in changes):
        _remove_combined_alarms(aws)
    cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
    applied = _wait_until_done(lambda: cloudformation.describe_stacks(StackName=stack)["Stacks"][0], "StackStatus")
    if applied["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        reason = _first_failure(cloudformation, stack, change_set["CreationTime"])
        raise DeploymentError(reason or applied["StackStatus"])
    return tuple(change["LogicalResourceId"] for change in changes)


def _remove_combined_alarms(aws: Aws) -> None:
    """Removes the alarms that combine others, because no alarm can be removed that they name. `alarms.py` makes them
    again."""
    cloudwatch = aws.client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["CompositeAlarm"])
    for name in [alarm["AlarmName"] for page in pages for alarm in page["CompositeAlarms"]]:
        cloudwatch.delete_alarms(AlarmNames=[name])


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


def _first_failure(cloudformation: Any, stack: str, since: datetime) -> str:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
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


def _outputs(aws: Aws, stack: str) -> dict[str, str]:
    [described] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _resources(aws: Aws, stack: str) -> dict[str, str]:
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
