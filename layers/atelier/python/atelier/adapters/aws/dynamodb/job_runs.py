"""The last runs of jobs, in the requests table.

pk job-runs   sk <job>    its last run
"""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from atelier.adapters.aws.dynamodb import Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.jobs.record_run import JobRun, RunResult

JOB_RUNS = "job-runs"


class JobRunItem(Item):
    """The last run of a job."""

    started_at = UnicodeAttribute()
    ended_at = UnicodeAttribute()
    result = UnicodeAttribute()


class DynamoJobRuns:
    """JobRuns on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        JobRunItem.bind(table_name)

    def save(self, run: JobRun) -> None:
        started_at, ended_at = rfc3339(run.started_at), rfc3339(run.ended_at)
        JobRunItem(JOB_RUNS, run.job, started_at=started_at, ended_at=ended_at, result=run.result.value).save()

    def last(self) -> dict[str, JobRun]:
        items = JobRunItem.query(JOB_RUNS, consistent_read=True)
        return {
            item.sk: JobRun(
                item.sk, parse_rfc3339(item.started_at), parse_rfc3339(item.ended_at), RunResult(item.result)
            )
            for item in items
        }
