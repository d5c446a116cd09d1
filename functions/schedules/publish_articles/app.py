"""Schedule: publish the articles whose time has come, whatever crashed, and mirror those of an editorial system
elsewhere."""

from __future__ import annotations

from typing import Any

from atelier.articles.publish_article import publish_due
from atelier.articles.sync_source import sync_due
from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import articles, job_runs


@recorded("publish-articles", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Publish what is due. Safe to repeat, and beside requests about the same articles."""
    published = publish_due(context, deps=articles.deps(), clock=clock)
    return {"published": published, "mirrored": sync_due(context, deps=articles.sync_deps(), clock=clock)}
