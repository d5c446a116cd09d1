"""What simulators of providers share whose jobs run behind a queue and report their end by webhook."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from infra.simulators.kit.faults import number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Simulator

PROGRESS_STEPS = 10
STALE_SECONDS = 3600


@dataclass(kw_only=True)
class QueuedJob:
    """A job in the queue: its id at the provider, the markers of its prompt, and its webhook's URL. `stop` is set when
    it has ended."""

    id: str
    markers: list[str]
    webhook: str | None
    stop: threading.Event = field(default_factory=threading.Event)

    def webhook_time_seconds(self) -> int:
        """The time that a webhook's signature names: now, unless the markers ask for a stale one."""
        return int(time.time()) - (STALE_SECONDS if "stale" in options_of(self.markers, "webhook") else 0)


JobT = TypeVar("JobT", bound=QueuedJob)


class QueueSimulator(Simulator, ABC, Generic[JobT]):
    """A simulator with `jobs` by id. A subclass says how a job runs (`run_job`) and what its webhook is
    (`send_webhook_of`). `POST /_simulator/webhooks/{id}` sends a job's webhook again. Markers:

    webhook:lost twice           never sent, sent twice
    webhook:early late=SECONDS   sent before the creation is answered; so long after the end
    """

    def __init__(self, port: int = 0, **options: Any) -> None:
        super().__init__(port, **options)
        self.jobs: dict[str, JobT] = {}

    @abstractmethod
    def run_job(self, job: JobT) -> None:
        """Run a job to its end."""

    @abstractmethod
    def send_webhook_of(self, job: JobT, times: int = 1) -> None:
        """Send a job's webhook: the same message `times` times, each again while it is not accepted."""

    def reset(self) -> None:
        with self.lock:
            self._stop_jobs()
            self.jobs = {}
        super().reset()

    def stop(self) -> None:
        with self.lock:
            self._stop_jobs()
        super().stop()

    def start_job(self, job: JobT) -> None:
        with self.lock:
            self.jobs[job.id] = job
        if "early" in options_of(job.markers, "webhook"):
            self.run_job(job)
        else:
            threading.Thread(target=self.run_job, args=(job,), daemon=True).start()

    def notify_end(self, job: JobT) -> None:
        """Send the webhook of a job that has ended, as the markers ask for it."""
        self.stopping.wait(number_option(job.markers, "webhook", "late", 0))
        self.notify(job)

    def notify(self, job: JobT) -> None:
        options = options_of(job.markers, "webhook")
        if job.webhook is not None and "lost" not in options:
            self.send_webhook_of(job, 2 if "twice" in options else 1)

    def serve_control(self, request: Request) -> Response | None:
        again = self.jobs.get(request.path.removeprefix("/_simulator/webhooks/"))
        if request.method == "POST" and again is not None:
            self.send_webhook_of(again)
            return Response(200, {})
        return super().serve_control(request)

    def _stop_jobs(self) -> None:
        for job in self.jobs.values():
            job.stop.set()


def progress_bar(step: int) -> str:
    """The line that a model logs after a step of PROGRESS_STEPS."""
    return f"{step * 10:3}%|{'#' * step}{' ' * (PROGRESS_STEPS - step)}| {step}/{PROGRESS_STEPS}"
