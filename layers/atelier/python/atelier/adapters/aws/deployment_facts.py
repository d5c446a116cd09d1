"""What the deployment was made with, as CloudFormation knows it."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.adapters.aws.clients import client


class StackFacts:
    """DeploymentFacts of a stack."""

    def __init__(self, stack: str) -> None:
        self._stack = stack

    def parameters(self) -> Mapping[str, str]:
        (stack,) = client("cloudformation").describe_stacks(StackName=self._stack)["Stacks"]
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", ())}
