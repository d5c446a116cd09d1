"""Submits a provider's jobs and follows them to their end."""

from __future__ import annotations

from atelier.provider_port import Accepted, Job, Pending, PollOutcome, Provider, Unknown
from tests.polling import wait_until


def accepted(provider: Provider, job: Job) -> str:
    """Submits a job, which must be accepted, and returns its reference."""
    answer = provider.submit(job)
    assert isinstance(answer, Accepted), answer
    return answer.reference


def ended(provider: Provider, reference: str, job: Job) -> PollOutcome:
    """Polls until a job has ended; polls that were not answered in time are repeated."""

    def poll() -> PollOutcome | None:
        progress = provider.poll(reference, job)
        return None if isinstance(progress, Pending | Unknown) else progress

    return wait_until(poll)


def made(provider: Provider, job: Job) -> PollOutcome:
    """Submits a job, which must be accepted, and polls until it has ended."""
    return ended(provider, accepted(provider, job), job)


def outcome_of(provider: Provider, job: Job) -> PollOutcome:
    """The outcome of a job's submission, or of the first poll that is not pending, even when that is unknown."""
    submitted = provider.submit(job)
    if not isinstance(submitted, Accepted):
        return submitted

    def poll() -> PollOutcome | None:
        progress = provider.poll(submitted.reference, job)
        return None if isinstance(progress, Pending) else progress

    return wait_until(poll)
