"""DeadLetters on SQS. A message of the queue `events` is an event that a function failed to take: it is sent again by
invoking the function, as Lambda or the scheduler had done. The records of a table's stream are not in the message; they
are read from the stream, which has them for a day."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from atelier.adapters.aws.clients import client
from atelier.dead_letters.model import DeadLetter, DeadLetterQueue, NotRepeatable

# Longer than a request lasts; then a message of a run that died can be received again.
HIDDEN_SECONDS = 60
BATCH = 10
# Lambda divides a failing batch down to single records, if it has the time.
STREAM_RECORDS_MAX = 100
# What the scheduler and the event bus write into a message's attributes.
TARGET = "TARGET_ARN"


class SqsDeadLetters:
    """DeadLetters. dead: the URL of each queue; sources: the URL of the queue from which its messages came, of those
    that have one. hidden_seconds: how long a message that was taken is hidden."""

    def __init__(
        self, dead: Mapping[str, str], sources: Mapping[str, str], hidden_seconds: int = HIDDEN_SECONDS
    ) -> None:
        self._dead, self._sources, self._hidden_seconds = dead, sources, hidden_seconds

    def depth(self, queue: DeadLetterQueue) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = client("sqs").get_queue_attributes(QueueUrl=self._dead[queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def take(self, queue: DeadLetterQueue) -> Sequence[DeadLetter]:
        answer = client("sqs").receive_message(
            QueueUrl=self._dead[queue],
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=self._hidden_seconds,
            WaitTimeSeconds=0,
            AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def put_back(self, queue: DeadLetterQueue, letters: Sequence[DeadLetter]) -> None:
        # One by one: the embedded AWS wants a permission of the batch call's name, and AWS has none of that name.
        queues = client("sqs")
        for letter in letters:
            # A receipt that is too old is refused: then the message is back already.
            with suppress(queues.exceptions.MessageNotInflight, queues.exceptions.ReceiptHandleIsInvalid):
                queues.change_message_visibility(
                    QueueUrl=self._dead[queue], ReceiptHandle=letter.receipt, VisibilityTimeout=0
                )

    def send_again(self, queue: DeadLetterQueue, letter: DeadLetter) -> None:
        if queue.value in self._sources:
            client("sqs").send_message(QueueUrl=self._sources[queue.value], MessageBody=letter.body)
            return
        invocation = _invocation(letter)
        if invocation is None:
            raise NotRepeatable
        function, payload = invocation
        functions = client("lambda")
        try:
            functions.invoke(FunctionName=function, InvocationType="Event", Payload=payload)
        except functions.exceptions.ResourceNotFoundException as error:
            # The function was replaced since.
            raise NotRepeatable from error

    def delete(self, queue: DeadLetterQueue, letter: DeadLetter) -> None:
        client("sqs").delete_message(QueueUrl=self._dead[queue], ReceiptHandle=letter.receipt)


def _letter(message: Mapping[str, Any]) -> DeadLetter:
    facts = message.get("Attributes", {})
    attributes = {
        name: str(value.get("StringValue", "")) for name, value in message.get("MessageAttributes", {}).items()
    }
    return DeadLetter(
        message["MessageId"],
        message["Body"],
        datetime.fromtimestamp(int(facts.get("SentTimestamp", 0)) / 1000, UTC),
        int(facts.get("ApproximateReceiveCount", 1)),
        message["ReceiptHandle"],
        attributes,
    )


def _invocation(letter: DeadLetter) -> tuple[str, bytes] | None:
    """The function that failed, and its event; None when it is not known, or gone."""
    target = letter.attributes.get(TARGET, "")
    if ":function:" in target:
        return target, letter.body.encode()
    try:
        content = json.loads(letter.body)
    except ValueError:
        return None
    if not isinstance(content, dict) or "requestContext" not in content:
        return None
    said = cast("dict[str, Any]", content)
    payload = said.get("requestPayload") or _stream_event(said.get("DDBStreamBatchInfo", {}))
    # "arn:…:function:name:$LATEST"
    function = str(said["requestContext"].get("functionArn", "")).removesuffix(":$LATEST")
    return (function, json.dumps(payload).encode()) if function and payload else None


def _stream_event(batch: Mapping[str, Any]) -> dict[str, Any] | None:
    """The records of a batch, read from their stream as Lambda delivers them; None when the stream has them no more, or
    they are too many for an event."""
    if not batch.keys() >= {"streamArn", "shardId", "startSequenceNumber", "endSequenceNumber"}:
        return None
    streams = client("dynamodbstreams")
    last, records = int(batch["endSequenceNumber"]), list[dict[str, Any]]()
    try:
        iterator = streams.get_shard_iterator(
            StreamArn=batch["streamArn"],
            ShardId=batch["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch["startSequenceNumber"],
        )["ShardIterator"]
        found = streams.get_records(ShardIterator=iterator, Limit=STREAM_RECORDS_MAX)["Records"]
    except (streams.exceptions.TrimmedDataAccessException, streams.exceptions.ResourceNotFoundException):
        return None
    for record in found:
        if int(record["dynamodb"]["SequenceNumber"]) <= last:
            records.append(_as_delivered(record, batch["streamArn"]))
    is_complete = bool(records) and int(records[-1]["dynamodb"]["SequenceNumber"]) == last
    return {"Records": records} if is_complete else None


def _as_delivered(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record as a function gets it: binary values in base64, the time in seconds."""
    change = {**_plain(record["dynamodb"])}
    change["ApproximateCreationDateTime"] = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    facts = {name: record[name] for name in ("eventID", "eventName", "eventVersion", "awsRegion") if name in record}
    return {**facts, "eventSource": "aws:dynamodb", "eventSourceARN": stream_arn, "dynamodb": change}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(part) for part in cast("list[Any]", value)]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
