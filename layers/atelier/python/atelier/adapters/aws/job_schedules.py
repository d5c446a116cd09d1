"""JobSchedules on EventBridge Scheduler. A job's schedule is the one of the deployment whose target is its function."""

from __future__ import annotations

from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from atelier.adapters.aws.clients import client
from atelier.errors import Unavailable
from atelier.jobs.run_job import JobSchedule


class SchedulerJobSchedules:
    """JobSchedules. stack: the name of the deployment's stack, with which its schedules begin."""

    def __init__(self, stack: str) -> None:
        self._prefix = f"{stack}-"

    def of(self, functions: Iterable[str]) -> dict[str, JobSchedule]:
        wanted = set(functions)
        try:
            pages = client("scheduler").get_paginator("list_schedules").paginate(NamePrefix=self._prefix)
            listed = [schedule for page in pages for schedule in page["Schedules"]]
            names = {_function(schedule["Target"]["Arn"]): schedule["Name"] for schedule in listed}
            found = {name: client("scheduler").get_schedule(Name=names[name]) for name in sorted(wanted & names.keys())}
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("The schedules cannot be read now.") from error
        return {
            name: JobSchedule(
                each["ScheduleExpression"],
                each.get("StartDate") or each["CreationDate"],
                is_enabled=each["State"] == "ENABLED",
            )
            for name, each in found.items()
        }


def _function(arn: str) -> str:
    """The name of a function by its ARN."""
    return arn.partition(":function:")[2].partition(":")[0]
