"""The records of a table's stream on the emulator, in the form in which Lambda delivers them."""

from __future__ import annotations

import base64
from typing import Any

# How many records a call returns at most.
PAGE = 1000


class TableStream:
    """Follows the stream of a table from now on. The clients are the test's own."""

    def __init__(self, dynamodb: Any, streams: Any, table: str) -> None:
        view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        described = dynamodb.update_table(TableName=table, StreamSpecification=view)["TableDescription"]
        arn = described["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        self._streams = streams
        self._after: str = streams.get_shard_iterator(**start)["ShardIterator"]

    def new_records(self) -> list[dict[str, Any]]:
        """The records since the last call, in order. The emulator answers fewer than a whole page only at the end."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self._streams.get_records(ShardIterator=self._after, Limit=PAGE)
            self._after = answer["NextShardIterator"]
            found += map(_as_lambda_event, answer["Records"])
            if len(answer["Records"]) < PAGE:
                return found


def _as_lambda_event(record: Any) -> dict[str, Any]:
    """A stream record as Lambda receives it: binary values are in base64, times are seconds, the rest is the same."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    committed_at = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    change = {**plain(record["dynamodb"]), "ApproximateCreationDateTime": committed_at}
    return {"eventID": record["eventID"], "eventName": record["eventName"], "dynamodb": change}
