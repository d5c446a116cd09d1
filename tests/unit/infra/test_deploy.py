"""`make deploy`: one deployment, and a second one only if the functions do not know their public URL yet."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from infra.deploy import deploy

ADDRESS = "https://d111.cloudfront.example"


class Account:
    """An AWS account in which `sam deploy` creates a stack with the public URL ADDRESS."""

    def __init__(self, exists: bool = False, exit_code: int = 0) -> None:
        self.exists = exists
        self.exit_code = exit_code
        self.commands: list[list[str]] = []
        # What happened, in order: "sam" or the bucket into which static files were put.
        self.steps: list[str] = []

    def sam(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        self.steps.append("sam")
        self.exists = self.exists or not self.exit_code
        return self.exit_code

    def outputs_of(self, _stack: str, _region: str | None) -> dict[str, str]:
        return {"Url": ADDRESS, "StaticBucket": "files"} if self.exists else {}

    def publish(self, bucket: str, _region: str | None) -> None:
        self.steps.append(bucket)

    def deploy(self, *arguments: str) -> list[list[str]]:
        """The parameters of each `sam deploy`."""
        assert deploy(arguments, sam=self.sam, outputs_of=self.outputs_of, publish=self.publish) == self.exit_code
        return [[part for part in command if "=" in part] for command in self.commands]


def test_the_first_deployment_is_repeated_with_the_public_url() -> None:
    assert Account().deploy("--stage", "dev") == [["Stage=dev"], ["Stage=dev", f"PublicUrl={ADDRESS}"]]


def test_a_later_deployment_passes_the_public_url() -> None:
    assert Account(exists=True).deploy("--stage", "dev") == [["Stage=dev", f"PublicUrl={ADDRESS}"]]


def test_static_files_are_there_before_the_pages_that_load_them() -> None:
    known = ("--parameter-overrides", "PublicUrl=https://d111.cloudfront.example")
    for exists, steps in ((True, ["files", "sam"]), (False, ["sam", "files"])):
        account = Account(exists=exists)
        account.deploy(*known)
        assert account.steps == steps
    failed = Account(exit_code=1)
    failed.deploy(*known)
    assert failed.steps == ["sam"]


def test_a_deployment_with_its_own_domain_runs_once() -> None:
    parameters = ("DomainName=a.example", "CertificateArn=arn:c")
    assert Account().deploy("--parameter-overrides", *parameters) == [["Stage=production", *parameters]]


def test_a_failed_deployment_is_not_repeated() -> None:
    assert len(Account(exit_code=1).deploy()) == 1


@pytest.mark.parametrize("argument", ["--guided", "--no-confirm-changeset"])
def test_other_arguments_are_passed_to_sam(argument: str) -> None:
    account = Account(exists=True)
    account.deploy("--region", "eu-west-1", argument)
    [command] = account.commands
    assert command[-1] == argument
    assert command[command.index("--region") + 1] == "eu-west-1"
