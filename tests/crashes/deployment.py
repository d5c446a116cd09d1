"""The deployment that the crash tests explore: one on the emulator for all runs, with a new workspace for each run.

Its tables have streams, which are read through the emulator's API; its provider is the simulator for Replicate.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import botocore.session
import certifi
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.signing_keys import new_hmac_key
from atelier.clock import system_clock
from atelier.identity.model import Credentials, Device, new_user, open_session
from atelier.identity.opening import Opening
from atelier.telemetry import logger
from atelier.wiring import identity, ledger
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from infra.simulators.stability import StabilitySimulator
from tests.crashes.interceptor import CallInterceptor
from tests.crashes.simulated_aws import stream_mappings
from tests.embedded_aws import Tables, clear_wiring_caches, create_tables
from tests.integration.world import World
from tests.invoke import load_function
from tests.table_streams import TableStream

PUBLIC_URL = "https://media.example.com"
MEDIA_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:generate-media"
EXPRESS_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:generate-media-express"
RUN_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:run-pipeline"
QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/attempts"
PROVIDERS = frozenset({"local", "replicate", "stability"})


@dataclass(frozen=True, slots=True)
class Client:
    """The user, session and workspace of a run's client."""

    user_id: str
    session_id: str
    workspace_id: str


class ProductDeployment:
    """A deployment on the emulator: tables, bucket, provider, and the functions' modules."""

    def __init__(
        self,
        tables: Tables,
        wire: CallInterceptor,
        replicate: ReplicateSimulator,
        stability: StabilitySimulator,
        bucket: str,
    ) -> None:
        self.tables, self.wire, self.bucket = tables, wire, bucket
        self.replicate, self.stability = replicate, stability
        self.world = World(tables, providers=PROVIDERS)
        # These are not the product's clients, so that the tests' own calls are neither counted nor made to fail.
        session = botocore.session.Session()
        self.dynamodb, self.s3 = session.create_client("dynamodb"), session.create_client("s3")
        read_streams = session.create_client("dynamodbstreams")
        self._streams = {
            table: TableStream(self.dynamodb, read_streams, getattr(tables, table))
            for table in {mapping.table for mapping in stream_mappings()}
        }
        self._apps: dict[str, ModuleType] = {}

    def app(self, folder: str) -> ModuleType:
        """The module of a function, kept between invocations like a warm Lambda process."""
        if folder not in self._apps:
            self._apps[folder] = load_function(folder)
        return self._apps[folder]

    def cold_start_all(self) -> None:
        """Make every function's next invocation a cold start."""
        self._apps.clear()
        clear_wiring_caches(clients=False)

    def clear_shared_state(self) -> None:
        """Clear the state that all workspaces share, so that no run depends on an earlier one."""
        self.replicate.reset()
        self.stability.reset()
        for item in self.dynamodb.scan(TableName=self.tables.providers)["Items"]:
            self.dynamodb.delete_item(TableName=self.tables.providers, Key={"pk": item["pk"], "sk": item["sk"]})
        for table in self._streams:
            self.new_records(table)
        self.cold_start_all()

    def create_owner(self) -> Client:
        """Create a user with a workspace whose wallet is still empty."""
        now = system_clock()
        ledger.wallets()
        user, workspace = new_user("ada@example.com", "Ada", now)
        user = replace(user, email=f"{user.id}@example.com")
        session, _ = open_session(user.id, workspace.id, Device("tests", "203.0.113.7"), now)
        credentials = Credentials(user.email, user.id, workspace.id, "no hash")
        identity.accounts().create(credentials, user, workspace, Opening(session))
        return Client(user.id, session.id, workspace.id)

    def new_records(self, table: str) -> list[dict[str, Any]]:
        """The stream records of a table since the last call, in order."""
        return self._streams[table].new_records()


def _example_url_keys() -> dict[str, str]:
    """A key for signed URLs, shorter than a real one: every run reads it anew, and no test checks the signatures."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    plain = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, plain, serialization.NoEncryption())
    return {"private_key_pem": pem.decode()}


@contextmanager
def deployed_product(endpoint_url: str) -> Iterator[ProductDeployment]:
    """A deployment on the emulator at `endpoint_url`. Until the block ends, its environment variables are set in this
    process and the product's AWS clients are intercepted."""
    with (
        TemporaryDirectory() as directory,
        pytest.MonkeyPatch.context() as environment,
        ReplicateSimulator(run_seconds=0) as replicate,
        StabilitySimulator() as stability,
    ):
        first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
        certificate = Path(directory, "one.pem")
        certificate.write_text(first + end)

        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        # Nothing here uses TLS, but clients load the certificate store each time they are created. One certificate in
        # place of all of them halves the duration.
        environment.setenv("SSL_CERT_FILE", str(certificate))
        clear_wiring_caches(clients=False)

        tables = create_tables(client("dynamodb"), environment)
        name = tables.identity.removeprefix("identity-")
        client("s3").create_bucket(Bucket=f"media-{name}")

        contents = {
            "MEDIA": _example_url_keys(),
            "ATTEMPTS": new_hmac_key(),
            "PROVIDERS": {
                "replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET},
                "stability": stability.access,
            },
        }
        for secret, value in contents.items():
            client("secretsmanager").create_secret(Name=f"{secret}-{name}", SecretString=json.dumps(value))
            environment.setenv(f"ATELIER_SECRET_{secret}", f"{secret}-{name}")

        for variable, value in {
            "PUBLIC_URL": PUBLIC_URL,
            # Results may come from loopback here.
            "STAGE": "local",
            "PROVIDERS": ",".join(sorted(PROVIDERS)),
            "PROVIDER_URLS": f"replicate={replicate.url},stability={stability.base_url}",
            "MEDIA_KEY_PAIR_ID": "K2EXAMPLE",
            "MEDIA_BUCKET": f"media-{name}",
            "GENERATE_MEDIA_ARN": MEDIA_MACHINE,
            "GENERATE_MEDIA_EXPRESS_ARN": EXPRESS_MACHINE,
            "RUN_PIPELINE_ARN": RUN_MACHINE,
            "ATTEMPTS_QUEUE_URL": QUEUE,
            "ATTEMPT_POLL_SECONDS": "5",
            "EVENT_BUS": "events",
            # Nobody listens, and there is no endpoint, so nothing is sent to either.
            "WEBHOOK_QUEUE_URL": f"{QUEUE}-webhooks",
            "WEBSOCKET_URL": "https://sockets.example/live",
        }.items():
            environment.setenv(f"ATELIER_{variable}", value)
        clear_wiring_caches(clients=False)

        wire, level = CallInterceptor(), logger.log_level
        # Hundreds of intended crashes need no log lines.
        logger.setLevel(logging.CRITICAL)
        try:
            with wire.attached():
                yield ProductDeployment(tables, wire, replicate, stability, f"media-{name}")
        finally:
            logger.setLevel(level)
            clear_wiring_caches(clients=False)
