"""The jobs of schedules, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.job_runner import LambdaJobRunner
from atelier.adapters.aws.job_schedules import SchedulerJobSchedules
from atelier.jobs.run_job import JobDeps
from atelier.settings import DeploymentStack, Jobs
from atelier.wiring import audit_log, job_runs


@cache
def deps() -> JobDeps:
    """The dependencies of showing jobs and running them by hand."""
    schedules = SchedulerJobSchedules(DeploymentStack.read().name)
    return JobDeps(Jobs.read().functions(), LambdaJobRunner(), audit_log.events(), schedules, job_runs.store())
