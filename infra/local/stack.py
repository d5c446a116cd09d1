"""The local stack without its edge: the embedded AWS and the deployment on it, kept in one data folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from infra.local.artifacts import BrokenSource
from infra.local.deploy import Aws, DeployedStack, DeploymentError, deploy
from infra.local.edge import Origins
from infra.local.emulator import Emulator, StateNotSaved
from infra.local.identity_providers import SimulatedIdentityProviders
from infra.local.mail import DOMAIN as MAIL_DOMAIN
from infra.local.mail import PARAMETERS as MAIL_PARAMETERS
from infra.local.payments import Payments
from infra.local.translate import TemplateError

HANDLES_FILE = "stack.json"
EDGE_SECRET = "DataEdgeSecret"
PROVIDERS_SECRET = "DataProvidersSecret"
STRIPE_SECRET = "DataStripeSecret"
OAUTH_SECRET = "DataOAuthSecret"
SYNC_PRICES, RECONCILE_BILLING = "TasksSyncPricesFunction", "SchedulesReconcileBillingFunction"
PRICE_LIST = "layers/atelier/python/atelier/catalogue/tiers.yaml"
# What of the price list is at which account of Stripe.
SYNCED_FILE = "stripe-prices"
# Web pages served from this machine may call the stack, on any port: front ends are developed that way.
FRONTEND_ORIGINS = "http://localhost:*,http://127.0.0.1:*"
# Unverified accounts get daily credits too, and all callers have one address. Nobody else pays for that: providers are
# simulators or the developer's own.
GENEROUS_PARAMETERS = {"DailyCredits": "everyone", "SignUpsPerAddress": "1000000", "MailsPerAddress": "1000000"}
# Exceptions that mean a mistake in the sources; a deployment that fails with one of them is rolled back.
SOURCE_ERRORS = (BrokenSource, DeploymentError, TemplateError, FileNotFoundError)
REDEPLOYMENT_SECONDS_MAX = 15.0


class DataInUse(Exception):
    """Another local stack runs on the same data folder."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to run. parameters: of template.yaml; they override the local defaults. provider_secrets: the platform's
    credentials by provider, added to those already stored. payments: None = none can be made.
    identity_providers: None = people sign in by password only."""

    root: Path
    data: Path
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    provider_secrets: Mapping[str, object] = field(default_factory=dict[str, object])
    enforce_policies: bool = True
    payments: Payments | None = None
    identity_providers: SimulatedIdentityProviders | None = None


class Stack:
    """The embedded AWS and its deployments: `start` it, `deploy` whenever the code has changed, `stop` it. The state is
    in the data folder and stays there."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._lock: IO[bytes] | None = None
        self._public_url = ""
        self._deploying = threading.Lock()
        # Whether a deployment has been completed, so that requests are served.
        self._serves = False
        # Physical ids of the deployed resources by their logical ids.
        self.resources: Mapping[str, str] = {}
        # Sentences about the last deployment for the person at the terminal.
        self.notes: list[str] = []
        self.emulator = Emulator(options.data, enforce_policies=options.enforce_policies)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of template.yaml: the local defaults, overridden by the options."""
        return {
            "Stage": "local",
            "FrontendOrigins": FRONTEND_ORIGINS,
            **GENEROUS_PARAMETERS,
            # The embedded AWS exports no table.
            "BackupMethod": "segments",
            **MAIL_PARAMETERS,
            **(self._options.payments.parameters if self._options.payments else {}),
            **(self._options.identity_providers.parameters if self._options.identity_providers else {}),
            **self._options.parameters,
        }

    def lock_data(self) -> None:
        """Locks the data folder for this process; raises DataInUse."""
        self._options.data.mkdir(parents=True, exist_ok=True)
        self._lock = (self._options.data / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DataInUse(
                f"another stack runs on {self._options.data}; stop it, or choose a folder with DATA=…"
            ) from error

    def start(self, public_url: str) -> Origins:
        """Starts the emulator and payments, and deploys; raises what `Emulator.start`, `Payments.start` and `deploy`
        raise."""
        self._public_url = public_url
        self.emulator.start()
        if self._options.payments:
            self._options.payments.start(public_url, self.emulator)
        if self._options.identity_providers:
            self._options.identity_providers.start(public_url)
        self.aws = Aws(self.emulator.endpoint)
        deployed = self.deploy()
        # On AWS an operator verifies the sender's domain. After the deployment, because this is a change that is saved,
        # and nothing can go on from half a deployment.
        self.aws.client("sesv2").create_email_identity(EmailIdentity=MAIL_DOMAIN)
        if self.emulator.starts_empty:
            # Until then a stack that is killed would begin anew, and forget what it had already answered.
            self.emulator.wait_until_saved()
        return self.origins(deployed)

    def deploy(self) -> DeployedStack:
        """Deploys what changed since the last time; raises what the module `deploy` raises. After a mistake in the
        sources the stack goes on as it was, and saving its state goes on too."""
        with self._deploying, self.emulator.saving_paused(resumes_after=SOURCE_ERRORS if self._serves else ()):
            deployed = self._deploy()
        self._serves = True
        self.resources = deployed.resources
        return deployed

    def _deploy(self) -> DeployedStack:
        # The edge shows deployed sites below this name (infra/local/hosted_sites.py).
        sites_domain = f"localhost:{urlsplit(self._public_url).port}"
        parameters = {"PublicUrl": self._public_url, "SitesDomain": sites_domain, **self.parameters}
        deployed = deploy(self._options.root, self._options.data, self.aws, parameters)
        if self._options.provider_secrets:
            self._add_to_secret(deployed.resources[PROVIDERS_SECRET], self._options.provider_secrets)
        if self._options.identity_providers:
            self._add_to_secret(deployed.resources[OAUTH_SECRET], self._options.identity_providers.secret)
        if self._options.payments:
            self._add_to_secret(deployed.resources[STRIPE_SECRET], self._options.payments.secret)
            self._sync_prices(deployed, self._options.payments)
        return deployed

    def _sync_prices(self, deployed: DeployedStack, payments: Payments) -> None:
        """Brings the price list to Stripe, if it is not there. A failure is a note: all but buying works."""
        self.notes = []
        price_list = (self._options.root / PRICE_LIST).read_bytes()
        wanted = hashlib.sha256(b"\0".join((price_list, payments.account.encode()))).hexdigest()
        synced = self._options.data / SYNCED_FILE
        if synced.exists() and synced.read_text("utf-8") == wanted:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self.aws.client("lambda").invoke(
                FunctionName=deployed.resources[SYNC_PRICES], Payload=json.dumps({"apply": True}).encode()
            )
            result = json.loads(answer["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            answer, result = {"FunctionError": ""}, {"errorMessage": str(error)}
        if "FunctionError" in answer or result["applied"] < result["steps"]:
            self.notes.append(f"the price list is not at Stripe: {result.get('errorMessage') or result.get('table')}")
            return
        synced.write_text(wanted, "utf-8")

    def reconcile_billing(self) -> None:
        """Has our records compared with Stripe, in the background."""
        resources = json.loads((self._options.data / HANDLES_FILE).read_text("utf-8"))["resources"]
        self.aws.client("lambda").invoke(
            FunctionName=resources[RECONCILE_BILLING], InvocationType="Event", Payload=b"{}"
        )

    def _add_to_secret(self, secret: str, values: Mapping[str, object]) -> None:
        manager = self.aws.client("secretsmanager")
        present = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])
        if present != {**present, **values}:
            manager.put_secret_value(SecretId=secret, SecretString=json.dumps({**present, **values}))

    def origins(self, deployed: DeployedStack) -> Origins:
        """The addresses to which the edge forwards requests. They are also written to the data folder, for tests and
        tools."""
        outputs = deployed.outputs
        handles = {
            "base_url": self._public_url,
            "endpoint": self.emulator.endpoint,
            "emulator_process_id": self.emulator.process_id,
            "outputs": outputs,
            "resources": deployed.resources,
        }
        (self._options.data / HANDLES_FILE).write_text(json.dumps(handles, indent=1), "utf-8")
        sockets = self.emulator.endpoint.replace("http", "ws", 1)
        return Origins(
            public_url=self._public_url,
            api_url=f"{self.emulator.endpoint}/_aws/execute-api/{outputs['ApiId']}/$default",
            bucket_urls={
                "media": f"{self.emulator.endpoint}/{outputs['MediaBucket']}",
                "static": f"{self.emulator.endpoint}/{outputs['StaticBucket']}",
            },
            media_keys={outputs["MediaKeyPairId"]: outputs["MediaPublicKeyPem"]},
            edge_key=self._edge_key(deployed),
            socket_url=f"{sockets}/_aws/execute-api/{outputs['WebSocketApiId']}/live",
        )

    def _edge_key(self, deployed: DeployedStack) -> str:
        secret = self.aws.client("secretsmanager").get_secret_value(SecretId=deployed.resources[EDGE_SECRET])
        return str(json.loads(secret["SecretString"])["key"])

    def stop(self) -> None:
        """Stops the emulator, which writes its state, and unlocks the data folder. Raises StateNotSaved.

        Waits for a redeployment in progress, because requests accepted during it are saved only after its end. Payments
        stop first, so that the embedded AWS writes whatever webhook it has accepted."""
        if self._options.payments:
            self._options.payments.stop()
        if self._options.identity_providers:
            self._options.identity_providers.stop()
        waited = self._serves and self._deploying.acquire(timeout=REDEPLOYMENT_SECONDS_MAX)
        try:
            self.emulator.stop()
        finally:
            if waited:
                self._deploying.release()
            if self._lock:
                self._lock.close()
        if self._serves and not waited:
            raise StateNotSaved("a redeployment did not come to its end: what was accepted since it began is lost")
