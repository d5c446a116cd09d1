"""The reference of row 15: a function for Stripe's webhooks as most projects write one.

It imports Stripe's SDK, lets it verify and parse the event, stores that by a boto3 client of its import, and answers.
"""

import contextlib
import json
import os

import boto3
import stripe
from aws_lambda_powertools import Logger

logger = Logger(service="typical")
table = boto3.client("dynamodb")
secrets = boto3.client("secretsmanager")
signing_secrets: list[str] = []


@logger.inject_lambda_context
def handler(event, context):
    if not signing_secrets:
        found = secrets.get_secret_value(SecretId=os.environ["TYPICAL_SECRET"])["SecretString"]
        signing_secrets.append(json.loads(found)["webhook_secrets"][0])
    try:
        told = stripe.Webhook.construct_event(event["body"], event["headers"]["stripe-signature"], signing_secrets[0])
    except (ValueError, stripe.SignatureVerificationError):
        return {"statusCode": 400, "body": "{}"}
    with contextlib.suppress(table.exceptions.ConditionalCheckFailedException):
        table.put_item(
            TableName=os.environ["TYPICAL_TABLE"],
            Item={"pk": {"S": f"stripe#{told.data.object.id}"}, "sk": {"S": told.id}, "body": {"S": event["body"]}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    logger.info("received", extra={"event": told.id, "type": told.type})
    return {"statusCode": 200, "body": json.dumps({"received": True})}
