"""Fixtures for invoking handlers whose adapters use the emulator, and for inspecting their effects there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.signing_keys import new_url_keys
from atelier.clock import system_clock
from atelier.identity.signing import new_key_set
from atelier.provider_keys.master_keys import new_master_keys
from atelier.telemetry import logger
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from infra.simulators.stripe.server import API_KEY as STRIPE_KEY
from infra.simulators.stripe.server import WEBHOOK_SECRET as STRIPE_WEBHOOK_SECRET
from infra.simulators.stripe.server import StripeSimulator
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.example_data import ATTEMPTS_KEY, OWN_KEY, PROMPT, TOKEN_TEXT, create_account
from tests.polling import wait_until

PUBLIC_URL = "https://media.example.com"
# The key from which links and codes in mails are made.
LINKS_KEY = "6c696e6b7320616e6420636f646573206f6620746865206578616d706c657321"
ROLE = "arn:aws:iam::000000000000:role/tests"
# Settings that are the same in every test.
SETTINGS = {
    # Results may come from loopback here.
    "STAGE": "local",
    "PROVIDERS": "local,replicate",
    # Nothing listens on this port; the fixtures `replicate` and `stripe` start servers and set their addresses.
    "PROVIDER_URLS": "replicate=http://127.0.0.1:9",
    "MEDIA_KEY_PAIR_ID": "K2EXAMPLE",
    "BACKUP_METHOD": "segments",
    # Nobody wants reports; tests/functions/test_report_errors.py does.
    "SENTRY_DSN": "",
    "PAYMENTS": "stripe",
    "STRIPE_URL": "http://127.0.0.1:9",
    "ATTEMPT_POLL_SECONDS": "1",
    # No such function; tests/functions/test_admin_prices.py answers in its place.
    "SYNC_PRICES": "sync-prices",
}
# A state that sends its task token and its input as a message, and ends when the token is answered.
WAITING_STATE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "Parameters": {"QueueUrl": "", "MessageBody": {"token.$": "$$.Task.Token", "input.$": "$"}},
    "End": True,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --write-mail-crashes, see test_crashes_of_mails.py."""
    parser.addoption("--write-mail-crashes", action="store_true", help="write CRASHES_OF_MAILS.md anew")


@pytest.fixture
def deployed(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Tables, signing keys and the environment of a deployed function."""
    secret = f"identity-{tables.identity}"
    manager = client("secretsmanager")
    manager.create_secret(Name=secret, SecretString=json.dumps(new_key_set()))
    links = f"links-{tables.identity}"
    manager.create_secret(Name=links, SecretString=json.dumps({"key": LINKS_KEY}))
    monkeypatch.setenv("ATELIER_SECRET_LINKS", links)
    monkeypatch.setenv("ATELIER_MAIL_FROM", "mail@atelier.example")
    monkeypatch.setenv("ATELIER_STAGE", "test")
    monkeypatch.setenv("ATELIER_PUBLIC_URL", PUBLIC_URL)
    monkeypatch.setenv("ATELIER_SECRET_IDENTITY", secret)
    monkeypatch.setenv("ATELIER_WEBSOCKET_URL", "https://ws123def45.execute-api.eu-central-1.amazonaws.com/live")
    for bucket in ("exports", "audit"):
        client("s3").create_bucket(Bucket=f"{bucket}-{tables.identity}")
    monkeypatch.setenv("ATELIER_EXPORTS_BUCKET", f"exports-{tables.identity}")
    monkeypatch.setenv("ATELIER_EVENTS_BUCKET", f"exports-{tables.identity}")
    return tables


@pytest.fixture(scope="session")
def url_keys() -> dict[str, str]:
    """The RSA key for signed URLs, one for all tests: creating it takes longer than most tests."""
    return new_url_keys()


@dataclass(frozen=True, slots=True)
class WaitingExecution:
    """An execution that waits for its task token to be answered."""

    execution: str
    token: str
    input: Any

    @property
    def answer(self) -> Any:
        """Waits for the end; returns the result with which the token was answered, or {"Error", "Cause"}."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=self.execution)
            return found if found["status"] != "RUNNING" else None

        return json.loads(wait_until(ended)["output"])

    def is_unanswered(self) -> bool:
        """Whether the token has not been answered yet. Asking answers it, with "nobody else"."""
        states = client("stepfunctions")
        try:
            states.send_task_success(taskToken=self.token, output='"nobody else"')
        except states.exceptions.TaskDoesNotExist:
            return False
        return bool(self.answer == "nobody else")


@dataclass(frozen=True, slots=True)
class AwsResources:
    """The AWS resources of a deployed function, and ways to look into them. Queues are given by their URLs; `told` gets
    the events of the bus, `tokens` the task tokens of waiting executions. `secrets`: texts that must not be logged."""

    tables: Tables
    bucket: str
    machine: str
    attempts_queue: str
    resets_queue: str
    billing_queue: str
    events_queue: str
    tokens_queue: str
    webhooks_queue: str
    secrets: list[str]

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table, in DynamoDB's JSON."""
        found: list[dict[str, Any]] = client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
        return found

    def bucket_keys(self, prefix: str = "") -> list[str]:
        """The bucket's keys."""
        found = client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def take_messages(self, queue: str, *, seconds_max: int = 0) -> list[Any]:
        """Takes the messages out of a queue; seconds_max: how long to wait for the first one."""
        found: list[Any] = []
        answer = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=seconds_max)
        for message in answer.get("Messages", []):
            client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return found

    def delayed_attempts(self) -> int:
        """How many messages of the attempts queue are still delayed."""
        name = "ApproximateNumberOfMessagesDelayed"
        answer = client("sqs").get_queue_attributes(QueueUrl=self.attempts_queue, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def start_waiting_execution(self) -> WaitingExecution:
        """Starts an execution that waits for its token, as the one of an attempt does."""
        client("stepfunctions").start_execution(stateMachineArn=self.machine, input="{}")
        return self.last_waiting_execution()

    def last_waiting_execution(self) -> WaitingExecution:
        """The execution that was started last and waits for its token."""
        (message,) = self.take_messages(self.tokens_queue, seconds_max=10)
        listed = client("stepfunctions").list_executions(stateMachineArn=self.machine, maxResults=1)
        self.secrets.append(message["token"])
        return WaitingExecution(listed["executions"][0]["executionArn"], message["token"], message["input"])


def create_secrets(contents: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creates secrets with these contents, and names them in the environment."""
    for secret, value in contents.items():
        client("secretsmanager").create_secret(Name=f"{secret}-{name}", SecretString=json.dumps(value))
        monkeypatch.setenv(f"ATELIER_SECRET_{secret}", f"{secret}-{name}")


def dead_letter_queues(name: str) -> str:
    """Creates the queues of dead letters; returns their setting."""
    names = ("attempts", "resets", "billing-events", "updates", "events")
    urls = {queue: client("sqs").create_queue(QueueName=f"dead-{queue}-{name}")["QueueUrl"] for queue in names}
    return ",".join(f"{queue}={url}" for queue, url in urls.items())


@pytest.fixture
def cloud(
    deployed: Tables, monkeypatch: pytest.MonkeyPatch, url_keys: dict[str, str], kept_secret: list[str]
) -> Iterator[AwsResources]:
    """All AWS resources of a deployment, with the account of the example events and both providers enabled."""
    name = deployed.identity.removeprefix("identity-")
    attempts, resets, billing, events_queue, tokens_queue, webhooks, updates = (
        client("sqs").create_queue(QueueName=f"{queue}-{name}")["QueueUrl"]
        for queue in ("attempts", "resets", "billing", "told", "tokens", "webhooks", "updates")
    )
    client("s3").create_bucket(Bucket=f"media-{name}")

    sent: dict[str, Any] = {**cast("dict[str, Any]", WAITING_STATE["Parameters"]), "QueueUrl": tokens_queue}
    only: dict[str, Any] = {**WAITING_STATE, "Parameters": sent}
    machine = client("stepfunctions").create_state_machine(
        name=f"machine-{name}", definition=json.dumps({"StartAt": "Only", "States": {"Only": only}}), roleArn=ROLE
    )["stateMachineArn"]

    bus, events = f"bus-{name}", client("events")
    queue_arn = client("sqs").get_queue_attributes(QueueUrl=events_queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events.create_event_bus(Name=bus)
    events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": "atelier."}]}))
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "told", "Arn": queue_arn}])

    contents = {
        "MEDIA": url_keys,
        "ATTEMPTS": {"key": ATTEMPTS_KEY},
        "EDGE": {"key": "the key of the edge"},
        "PROVIDERS": {"replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}},
        "PROVIDER_KEYS": new_master_keys(system_clock()),
        "BACKUPS": new_key_set(),
        "STRIPE": {"api_key": STRIPE_KEY, "webhook_secrets": [STRIPE_WEBHOOK_SECRET]},
        # Nobody is registered at an identity provider; tests/functions/test_oauth.py is.
        "OAUTH": {},
    }
    create_secrets(contents, name, monkeypatch)
    for variable, value in {
        **SETTINGS,
        "AUDIT_BUCKET": f"audit-{deployed.identity}",
        "MEDIA_BUCKET": f"media-{name}",
        **dict.fromkeys(("SITES_BUCKET", "BACKUPS_BUCKET"), f"media-{name}"),
        "SITES_DOMAIN": "localhost:8080",
        "STACK": name,
        "GENERATE_MEDIA_ARN": machine,
        "RUN_PIPELINE_ARN": machine,
        **dict.fromkeys(("WRITE_EXPORT_ARN", "WRITE_WHOLE_EXPORT_ARN", "ERASE_ARN", "DEPLOY_SITE_ARN"), machine),
        "ATTEMPTS_QUEUE_URL": attempts,
        "RESETS_QUEUE_URL": resets,
        "BILLING_EVENTS_QUEUE_URL": billing,
        "WEBHOOK_QUEUE_URL": webhooks,
        "WEBHOOK_HOSTS": "127.0.0.1:*",
        "UPDATES_QUEUE_URL": updates,
        "DEAD_LETTERS": dead_letter_queues(name),
        "JOBS": f"archive-audit=archive-{name}",
        "DEAD_LETTER_SOURCES": f"attempts={attempts},resets={resets},billing-events={billing},updates={updates}",
        "EVENT_BUS": bus,
    }.items():
        monkeypatch.setenv(f"ATELIER_{variable}", str(value))

    clear_wiring_caches(clients=False)
    create_account()
    resources = AwsResources(
        deployed, f"media-{name}", machine, attempts, resets, billing, events_queue, tokens_queue, webhooks, kept_secret
    )
    yield resources

    running = client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    for execution in running["executions"]:
        client("stepfunctions").stop_execution(executionArn=execution["executionArn"])


@pytest.fixture
def replicate(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicateSimulator]:
    """Replicate's simulator. It sends no webhooks, because nothing listens on the public URL."""
    with ReplicateSimulator(run_seconds=0.02) as running:
        running.behave("webhook:lost", creations=100)
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"replicate={running.url}")
        clear_wiring_caches(clients=False)
        yield running


@pytest.fixture
def stripe(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeSimulator]:
    """Stripe's simulator. It sends no webhooks, because it knows no endpoint."""
    with StripeSimulator() as running:
        monkeypatch.setenv("ATELIER_STRIPE_URL", running.url)
        clear_wiring_caches(clients=False)
        yield running


@pytest.fixture
def kept_secret() -> list[str]:
    """Texts that no line of the log may contain; tests may add more."""
    token_secret = TOKEN_TEXT[56:]
    return [
        PROMPT,
        OWN_KEY,
        API_TOKEN,
        WEBHOOK_SECRET,
        STRIPE_KEY,
        STRIPE_WEBHOOK_SECRET,
        ATTEMPTS_KEY,
        LINKS_KEY,
        token_secret,
        "PRIVATE KEY",
        "correct horse",
    ]


@pytest.fixture(autouse=True)
def log(kept_secret: list[str]) -> Iterator[io.StringIO]:
    """All lines of the product's logger, at level DEBUG. After each test it checks that they contain no secret."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    level = logger.log_level
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield written
    logger.setLevel(level)
    logger.removeHandler(handler)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    assert [secret for secret in kept_secret if secret in written.getvalue()] == []
