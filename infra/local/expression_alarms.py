"""The alarms of the templates that compute with metrics, in the shape of DescribeAlarms. The embedded AWS keeps no
expressions, so they are read from the templates; what they refer to stands in them by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.templates import read_template

RUNBOOKS = "docs/runbooks"
STACKS = ("Observability", "Objectives")


def read_expression_alarms(root: Path) -> dict[str, dict[str, Any]]:
    """By name, which is the stack's name and the logical id. root: the repository."""
    return {
        stack + logical_id: _alarm(stack + logical_id, resource["Properties"])
        for stack in STACKS
        for logical_id, resource in read_template(root / f"infra/{stack.lower()}.yaml")["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    }


def _alarm(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(properties)
    description = str(plain["AlarmDescription"]).replace("${Runbooks}", RUNBOOKS)
    return {**plain, "AlarmName": name, "AlarmDescription": description}


def _plain(value: Any) -> Any:
    """A value of a template without references: the name of what is referred to, and the text of a substitution."""
    if isinstance(value, Mapping):
        if value.keys() == {"Ref"}:
            return value["Ref"]
        return value["Fn::Sub"] if value.keys() == {"Fn::Sub"} else {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
