"""JobRunner on Lambda."""

from __future__ import annotations

from atelier.adapters.aws.clients import client


class LambdaJobRunner:
    """JobRunner on Lambda. A failed run is repeated and then kept as a dead letter, as one of the schedule is."""

    def start(self, function: str) -> None:
        client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
