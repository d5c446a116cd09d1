"""Jobs that a provider queues and that are polled for: the outcomes that are the same for every such provider."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

from atelier.adapters.providers._http import NoAnswer, NotSent, Reply, failure_of, send_creation
from atelier.provider_port import Accepted, ErrorClass, Failed, PollOutcome, SubmitOutcome, Unknown

# How many files of a result are read.
OUTPUTS_MAX = 16
REQUEST_ID = r"[A-Za-z0-9_-]{1,64}"
# Statuses by which the provider, or the network in front of it, says that the request was not accepted. After any other
# 5xx the request may have been accepted.
NOT_ACCEPTED_STATUSES = frozenset({503, 521, 522, 523})


def submit_outcome(
    send: Callable[[], Reply], read_reference: Callable[[Reply], str | None], read_refusal: Callable[[Reply], Failed]
) -> SubmitOutcome:
    """The outcome of a creation, which `send` sends once. read_reference: the job's reference in the reply of an
    accepted creation, or None. read_refusal: the outcome of a reply which says that no work was started."""
    reply = send_creation(send)
    if not isinstance(reply, Reply):
        return reply
    if reply.status >= 500 and reply.status not in NOT_ACCEPTED_STATUSES:
        return Unknown(f"the request was answered with {reply.status}")
    if not reply.ok:
        return read_refusal(reply)
    reference = read_reference(reply)
    return Accepted(reference) if reference else Unknown("the request was answered without an id")


def poll_outcome(send: Callable[[], Reply], read: Callable[[Reply], PollOutcome]) -> PollOutcome:
    """The outcome of a poll, which `send` sends. read: the outcome of a reply of status 2xx; it may send more."""
    try:
        reply = send()
        if reply.status in (404, 410):
            return failure_of(ErrorClass.UNKNOWN_OUTCOME)
        if not reply.ok:
            return Unknown(f"the poll was answered with {reply.status}")
        return read(reply)
    except (NotSent, NoAnswer) as error:
        return Unknown(f"the poll was not answered: {error}")


def run_usage(metrics: object, name: str) -> dict[str, int]:
    """The usage of a run: its time, which the metric of this name has in seconds. Empty without a usable metric."""
    seconds: Any = cast("dict[str, Any]", metrics).get(name) if isinstance(metrics, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 10**6:
        return {}
    return {"predict_milliseconds": math.ceil(round(seconds * 1000, 3))}


def progress_in_logs(logs: str) -> int:
    """The percentage of the last progress bar in the logs, as models print it: ` 40%|████      | 20/50`; 0 to 99."""
    found = re.findall(r"(\d{1,3})%\|", logs)
    return min(int(found[-1]), 99) if found else 0
