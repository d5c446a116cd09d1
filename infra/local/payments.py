"""Payments of the local stack: by Stripe's simulator, whose account is in the data folder, or in Stripe's test mode.

Our tables and the simulator's account are saved apart, so after a `kill -9` one of them may be older. It is always
ours: the simulator saves before it answers (`infra/simulators/stripe/storage.py`), the embedded AWS every two seconds.
So our tables never name a customer or an invoice that Stripe has forgotten. What they have forgotten comes back: the
events that they had accepted since their last copy are sent again, and every handler reads its object anew. Streams of
the embedded AWS lose what was not read when it stopped, so what was accepted shortly before is compared with Stripe.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from infra.local.forwarding import forward

if TYPE_CHECKING:
    from infra.local.emulator import Emulator
    from infra.simulators.stripe.server import StripeSimulator

PATH = "/local/stripe"
WEBHOOK_PATH = "/api/webhooks/stripe"
KEYS_FILE = "stripe.json"
ACCOUNT_FILE = "stripe.sqlite3"
# Says that the customers of this data folder are at Stripe.
TEST_MODE_FILE = "stripe-test-mode"
SIMULATOR_MODULE = "infra.simulators.stripe.server"
TEST_KEYS = ("sk_test_", "rk_test_")
# Pauses before a webhook is sent again, then before one that was given up is.
WEBHOOK_PAUSES_SECONDS = (0.5,)
SENDS_AGAIN_AFTER_SECONDS = 5.0
# How much earlier than its time a copy of the embedded AWS may have been taken.
COPY_SECONDS_MAX = 5.0
# How long a webhook may be on its way through stream and queue after it was accepted.
HANDLING_SECONDS_MAX = 60.0


class PaymentsError(Exception):
    """Payments cannot be had as they are wanted; the text is for the person at the terminal."""


class Payments(Protocol):
    """What the local stack needs of payments: the `account`, a name of it that never changes; `parameters` of
    template.yaml; the `secret` (StripeSecret); `lines` to print when the stack is ready; `needs_reconciling`: whether
    the last run may have ended between accepting an event and acting on it."""

    @property
    def account(self) -> str: ...

    @property
    def needs_reconciling(self) -> bool: ...

    @property
    def parameters(self) -> dict[str, str]: ...

    @property
    def secret(self) -> dict[str, object]: ...

    @property
    def lines(self) -> list[str]: ...

    def start(self, public_url: str, emulator: Emulator) -> None:
        """Called when the emulator has started; public_url: of the edge."""
        ...

    def serve(self) -> None:
        """Called when the stack serves requests, webhooks among them."""
        ...

    def stop(self) -> None: ...


class TestMode:
    """Stripe itself, with the key of a test account. Its events come through Stripe's CLI, which signs them with a
    secret of its own."""

    __test__ = False

    def __init__(self, folder: Path, api_key: str, webhook_secret: str = "") -> None:
        """Raises PaymentsError for a key that could move money, or that is none."""
        if api_key.startswith(("sk_live_", "rk_live_")):
            raise PaymentsError(
                "STRIPE_SECRET_KEY is a live key, and would charge real cards; give one of a test account"
            )
        if not api_key.startswith(TEST_KEYS):
            raise PaymentsError(f"STRIPE_SECRET_KEY is no key of a test account: it begins with none of {TEST_KEYS}")
        self._folder = folder
        self._api_key = api_key
        self._webhook_secret = webhook_secret
        self._public_url = ""

    @property
    def account(self) -> str:
        return self._api_key

    @property
    def needs_reconciling(self) -> bool:
        return False

    @property
    def parameters(self) -> dict[str, str]:
        return {"Payments": "stripe", "StripeUrl": "", "StripeTestClocks": ""}

    @property
    def secret(self) -> dict[str, object]:
        return {"api_key": self._api_key, "webhook_secrets": [self._webhook_secret] if self._webhook_secret else []}

    @property
    def lines(self) -> list[str]:
        command = f"stripe listen --forward-to {self._public_url}{WEBHOOK_PATH}"
        if self._webhook_secret:
            return [f"payments: Stripe's test mode; its events come through `{command}`"]
        return [f"payments: Stripe's test mode; start `{command}`, and give its secret as STRIPE_WEBHOOK_SECRET"]

    def start(self, public_url: str, emulator: Emulator) -> None:
        self._public_url = public_url
        (self._folder / TEST_MODE_FILE).touch()

    def serve(self) -> None: ...

    def stop(self) -> None: ...


class Simulation:
    """Stripe's simulator. Its key, its signing secret and its port are drawn once and kept, as is its account."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._simulator: StripeSimulator | None = None
        self._keys: dict[str, str] = {}
        self._public_url = ""
        self._lost_since: float | None = None
        self.needs_reconciling = False
        # The import takes a third of a second, in which the emulator starts.
        self._importing = threading.Thread(target=import_module, args=(SIMULATOR_MODULE,), daemon=True)
        self._importing.start()

    @property
    def account(self) -> str:
        return self._simulator.account.seed if self._simulator else ""

    @property
    def url(self) -> str:
        """Where the functions reach it, without a trailing slash; empty while it does not run."""
        return self._simulator.url if self._simulator else ""

    @property
    def parameters(self) -> dict[str, str]:
        return {"Payments": "stripe", "StripeUrl": self.url, "StripeTestClocks": "each-customer"}

    @property
    def secret(self) -> dict[str, object]:
        return {"api_key": self._keys["api_key"], "webhook_secrets": [self._keys["webhook_secret"]]}

    @property
    def lines(self) -> list[str]:
        place = self._public_url + PATH
        return [
            f"payments: Stripe's simulator, with cards to try, test clocks, webhooks and disputes: {place}",
            f"payments: its API at {place}/v1, its key {self._keys['api_key']}, its signing secret "
            f"{self._keys['webhook_secret']} (kept in {self._folder / KEYS_FILE})",
        ]

    def start(self, public_url: str, emulator: Emulator) -> None:
        """Serves the account as it was left; raises PaymentsError. Webhooks wait for `serve`."""
        self._importing.join()
        from infra.simulators.stripe.storage import UnreadableAccount

        self._public_url = public_url
        copied_at = emulator.copied_at
        self._lost_since = None if copied_at is None or emulator.ended_in_order else copied_at - COPY_SECONDS_MAX
        if emulator.starts_empty:
            self._set_aside()
        kept = self._read_keys()
        try:
            self._simulator = self._on_port(int(kept.get("port", 0)), kept)
        except UnreadableAccount as error:
            raise PaymentsError(
                f"{error}; move it away together with {self._folder / 'saved'}, and start again"
            ) from error
        self._keys = {**kept, "port": self._simulator.url.rpartition(":")[2]}
        if self._keys != kept or not (self._folder / KEYS_FILE).exists():
            _write_privately(self._folder / KEYS_FILE, json.dumps(self._keys))
        self.needs_reconciling = copied_at is not None and any(
            self._simulator.accepted_since(copied_at - HANDLING_SECONDS_MAX)
        )
        self._simulator.start()

    def _read_keys(self) -> dict[str, str]:
        try:
            kept = json.loads((self._folder / KEYS_FILE).read_text("utf-8"))
        except (OSError, ValueError):
            kept = {}
        drawn = {"api_key": f"sk_test_{secrets.token_hex(12)}", "webhook_secret": f"whsec_{secrets.token_hex(16)}"}
        return drawn | kept

    def _on_port(self, port: int, keys: Mapping[str, str]) -> StripeSimulator:
        """The simulator on this port; on any free one if another program has it meanwhile."""
        from infra.simulators.stripe.server import StripeSimulator

        try:
            return StripeSimulator(
                port,
                api_key=keys["api_key"],
                webhook_url=self._public_url.replace("//localhost:", "//127.0.0.1:") + WEBHOOK_PATH,
                webhook_secret=keys["webhook_secret"],
                webhook_pauses=WEBHOOK_PAUSES_SECONDS,
                sends_again_after=SENDS_AGAIN_AFTER_SECONDS,
                pages_url=self._public_url + PATH,
                file=self._folder / ACCOUNT_FILE,
                with_deliveries=False,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not port:
                raise
            return self._on_port(0, keys)

    def _set_aside(self) -> None:
        """Nothing of our tables is left, so nobody knows the account's customers."""
        left = [each for each in self._folder.glob(f"{ACCOUNT_FILE}*") if each.is_file()]
        if left:
            aside = self._folder / f"unusable-stripe-{secrets.token_hex(4)}"
            aside.mkdir()
            for each in left:
                each.rename(aside / each.name)

    def serve(self) -> None:
        if self._simulator:
            self._simulator.start_deliveries(self._lost_since)

    def stop(self) -> None:
        simulator, self._simulator = self._simulator, None
        if simulator:
            simulator.stop()

    # ---- pages -------------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Forwards a request below PATH to the simulator."""
        if not self.url:
            return web.Response(status=503, text="The stack is starting. Load this again in a moment.\n")
        return await forward(request, PATH, self.url)


def choose_payments(folder: Path, environment: Mapping[str, str]) -> TestMode | Simulation:
    """Stripe's test mode when the environment has a key for it, else the simulator. Raises PaymentsError for a wrong
    key, and for a data folder whose customers are at the other one."""
    api_key = environment.get("STRIPE_SECRET_KEY", "")
    other = "choose a folder with DATA=…"
    if not api_key:
        if (folder / TEST_MODE_FILE).exists():
            raise PaymentsError(
                f"the customers of {folder} are in Stripe's test mode: set STRIPE_SECRET_KEY, or {other}"
            )
        return Simulation(folder)
    test_mode = TestMode(folder, api_key, environment.get("STRIPE_WEBHOOK_SECRET", ""))
    if (folder / ACCOUNT_FILE).exists():
        raise PaymentsError(
            f"the customers of {folder} are those of the simulator: unset STRIPE_SECRET_KEY, or {other}"
        )
    return test_mode


def _write_privately(file: Path, text: str) -> None:
    """Write a file that its owner alone reads, so that it is there whole or not at all."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text, "utf-8")
    os.replace(new, file)
