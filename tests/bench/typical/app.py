"""The reference of rows 1, 2, 3 and 12: a function as most projects write one, with all that its libraries offer.

It uses Powertools' Logger, Metrics and Tracer, its validating resolver, and a boto3 client created at import.
"""

import json
import os

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, Field

logger = Logger(service="typical")
metrics = Metrics(namespace="Typical", service="typical")
tracer = Tracer(service="typical")
app = APIGatewayHttpResolver(enable_validation=True)
dynamodb = boto3.client("dynamodb")


class Grant(BaseModel):
    source: str
    remaining: int = Field(ge=0)


class Balance(BaseModel):
    available: int
    held: int
    grants: list[Grant]


@tracer.capture_method
def load(workspace: str) -> Balance:
    """The balance of a workspace, always the same one; reads the table first when there is one."""
    if table := os.environ.get("TYPICAL_TABLE"):
        dynamodb.get_item(TableName=table, Key={"pk": {"S": workspace}, "sk": {"S": "wallet"}})
    return Balance(available=40, held=4, grants=[Grant(source="daily", remaining=40)])


@app.get("/api/credits")
@tracer.capture_method
def credits() -> Balance:
    metrics.add_metric(name="BalanceRead", unit=MetricUnit.Count, value=1)
    return load("wsp_typical")


class LogIn(BaseModel):
    email: str
    password: str


@app.post("/api/auth/login")
@tracer.capture_method
def log_in(login: LogIn) -> dict[str, str]:
    """What any log-in does: read the user, hash the password, store a session, sign a token with a key from a secret.
    The hash has the product's parameters."""
    # Imported here, so that only a log-in takes the time to import them.
    from argon2 import PasswordHasher
    from joserfc import jwt
    from joserfc.jwk import ECKey

    table = os.environ["TYPICAL_TABLE"]
    dynamodb.get_item(TableName=table, Key={"pk": {"S": login.email}, "sk": {"S": "user"}})
    PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(login.password)
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "typical"}, "sk": {"S": "session"}})
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["TYPICAL_SECRET"])
    key = ECKey.import_key(json.loads(secret["SecretString"])["keys"][0])
    return {"token": jwt.encode({"alg": "ES256"}, {"sub": login.email}, key)}


@metrics.log_metrics(capture_cold_start_metric=True)
@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict, context: object) -> dict:
    logger.info("request")
    return app.resolve(event, context)
