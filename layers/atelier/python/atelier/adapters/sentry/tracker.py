"""Error reports to Sentry, by its SDK. https://docs.sentry.io/platforms/python/"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sentry_sdk import Client
from sentry_sdk.transport import HttpTransport

from atelier.error_reports.model import ErrorReport, Frame
from atelier.errors import Unavailable

if TYPE_CHECKING:
    from sentry_sdk._types import Event

FLUSH_SECONDS_MAX = 10.0


class SentryTracker:
    """dsn: of the project. stage: shown as the environment. The SDK collects nothing by itself: no integration, no
    breadcrumb, no variable, no line of source, no host's name."""

    def __init__(self, dsn: str, stage: str) -> None:
        dropped: list[str] = []
        self._dropped = dropped

        class Transport(HttpTransport):
            """Remembers what was not accepted: the SDK itself only logs that."""

            def on_dropped_event(self, reason: str) -> None:
                dropped.append(reason)

        self._client = Client(
            dsn=dsn,
            environment=stage,
            transport=Transport,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            send_client_reports=False,
            max_breadcrumbs=0,
            server_name="lambda",
        )

    def send(self, reports: Sequence[ErrorReport]) -> None:
        """See ErrorTracker."""
        self._dropped.clear()
        for report in reports:
            self._client.capture_event(event_of(report))
        self._client.flush(timeout=FLUSH_SECONDS_MAX)
        if self._dropped:
            raise Unavailable(f"The error tracker did not accept {len(self._dropped)} reports.")


def event_of(report: ErrorReport) -> Event:
    """A report in Sentry's form. https://develop.sentry.dev/sdk/data-model/event-payloads/"""
    event: dict[str, Any] = {
        "event_id": report.id,
        "timestamp": report.at.isoformat(),
        "platform": "python",
        "level": report.level,
        "logger": "atelier",
        "tags": dict(report.tags),
        # One group for each kind of error, wherever it came from; without a stack the texts alone would group.
        "fingerprint": [report.title, report.type or "", _innermost(report.frames)],
    }
    if report.type is None:
        event["message"] = report.title
    else:
        frames = [
            {"filename": each.file, "abs_path": each.file, "lineno": each.line, "function": each.function}
            for each in report.frames
        ]
        event["transaction"] = report.title
        event["exception"] = {
            "values": [{"type": report.type, "value": report.title, "stacktrace": {"frames": frames}}]
        }
    return event  # pyright: ignore[reportReturnType]


def _innermost(frames: Sequence[Frame]) -> str:
    return f"{frames[-1].file}:{frames[-1].function}" if frames else ""
