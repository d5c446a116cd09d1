"""The last runs of jobs, composed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.settings import RequestsTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.job_runs import DynamoJobRuns
    from atelier.jobs.record_run import JobRun


@cache
def store() -> DynamoJobRuns:
    """The last runs of this deployment's jobs."""
    from atelier.adapters.aws.dynamodb.job_runs import DynamoJobRuns

    DynamoJobRuns.bind(RequestsTable.read().name)
    return DynamoJobRuns()


def save(run: JobRun) -> None:
    """Save a run."""
    store().save(run)
