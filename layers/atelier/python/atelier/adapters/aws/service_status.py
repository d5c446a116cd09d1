"""The state of the AWS services behind this deployment, for the status page. Nothing here raises."""

from __future__ import annotations

from atelier.adapters.aws.clients import client
from atelier.telemetry import logger


def store_status(table_name: str) -> str:
    """`ok` when DynamoDB answers a read of this table, else `unavailable`."""
    try:
        client("dynamodb").get_item(TableName=table_name, Key={"pk": {"S": "health"}, "sk": {"S": "health"}})
    except Exception:
        logger.exception("the store does not answer")
        return "unavailable"
    return "ok"


def queue_depth(queue_url: str) -> int | None:
    """About how many messages wait in a queue; None when SQS does not answer."""
    try:
        answer = client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])
    except Exception:
        logger.exception("the queue does not answer")
        return None
