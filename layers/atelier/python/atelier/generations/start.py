"""Which kind of execution a generation starts with. Pure."""

from __future__ import annotations

from datetime import timedelta

from atelier.provider_port import LATE_SECONDS_MAX

# Step Functions ends an Express execution after this time.
EXPRESS_TIME_MAX = timedelta(minutes=5)
# What an attempt takes beside its model: a response that is late, and the end of the generation.
MARGIN = timedelta(seconds=LATE_SECONDS_MAX + 30)
# A first visit that crashes may be repeated within this time.
REPEAT_TIME = timedelta(seconds=30)


def fits_express(run_time: timedelta, elapsed: timedelta = REPEAT_TIME) -> bool:
    """Whether a model that may run so long ends within an Express execution that began `elapsed` ago."""
    return elapsed + run_time + MARGIN <= EXPRESS_TIME_MAX
