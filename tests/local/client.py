"""A client of the public HTTP API; it knows nothing of the implementation."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from tests.polling import POLL_GROWTH, POLL_SECONDS_MAX

T = TypeVar("T")
TIMEOUT_SECONDS = 60
# A look is a call of the whole stack.
CALL_PAUSE_SECONDS = 0.05
PASSWORD = "a long enough passphrase 27"


def mails_to(base_url: str, email: str) -> list[dict[str, Any]]:
    """The mails to an address, newest first, from the stack's page of mails."""
    found: list[dict[str, Any]] = httpx.get(f"{base_url}/local/mail/messages", timeout=40).json()
    return [mail for mail in found if email in mail["to"]]


def link_in_mail(base_url: str, email: str, path: str) -> str:
    """The newest link to a page of Studio in the mails to an address; waits for it."""

    def newest() -> str | None:
        found = (re.search(rf"https?://\S+{path}\?token=[\w.-]+", mail["text"]) for mail in mails_to(base_url, email))
        return next((match[0] for match in found if match), None)

    link = poll_until(newest, lambda found: found is not None)
    assert link is not None
    return link


def verify_email(base_url: str, email: str) -> None:
    """Verifies an address by the mail that its account was sent."""
    token = link_in_mail(base_url, email, "/verify").partition("?token=")[2]
    answer = httpx.post(f"{base_url}/api/auth/verify-email", json={"token": token}, timeout=40)
    assert answer.status_code == 200, answer.text


class AccountClient:
    """A new account, logged in."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=40)
        self.email = f"{uuid.uuid4().hex}@example.test"
        signed_up = self.http.post(
            "/api/auth/signup",
            json={"email": self.email, "password": PASSWORD, "name": "Ada", "token_delivery": "body"},
        )
        assert signed_up.status_code == 201, signed_up.text
        data = signed_up.json()["data"]
        self.workspace_id: str = data["workspace"]["id"]
        self.refresh_token: str = data["refresh_token"]
        self.http.headers["Authorization"] = f"Bearer {data['access_token']}"

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.http.get(path, params=parameters)

    def generate(
        self,
        prompt: str = "a lighthouse at dusk",
        *,
        wait: int | None = None,
        key: str | None = None,
        model: str = "local/canvas",
        **parameters: int,
    ) -> httpx.Response:
        headers = {**({"Prefer": f"wait={wait}"} if wait else {}), **({"Idempotency-Key": key} if key else {})}
        body = {"prompt": prompt, "model": model, "parameters": {"width": 256, "height": 256, **parameters}}
        return self.http.post("/api/generate/image", json=body, headers=headers)

    def generation(self, generation_id: str) -> dict[str, Any]:
        answer = self.get(f"/api/generations/{generation_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["generation"]

    def wait_for_end(self, generation_id: str) -> dict[str, Any]:
        """Waits until the generation is final; returns it."""
        return poll_until(
            lambda: self.generation(generation_id), lambda found: found["status"] not in ("queued", "running")
        )

    def balance(self) -> dict[str, Any]:
        return self.get("/api/credits").json()["data"]

    def statement(self) -> list[dict[str, Any]]:
        """All movements, newest first, page by page."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            data = self.get("/api/credits/entries", limit=10, **cursor).json()["data"]
            items += data["items"]
            if data["next_cursor"] is None:
                return items
            cursor = {"cursor": data["next_cursor"]}

    def assert_books_balance(self) -> None:
        """Every movement sums to zero and the balance is the sum of the entries."""
        balance = self.balance()
        entries = [entry for movement in self.statement() for entry in movement["entries"]]
        assert sum(entry["amount"] for entry in entries) == 0
        for account in ("available", "held"):
            assert balance[account] == sum(entry["amount"] for entry in entries if entry["account"] == account)


def poll_until(look: Callable[[], T], enough: Callable[[T], bool], seconds: float = TIMEOUT_SECONDS) -> T:
    """Calls `look` until `enough` accepts its result, and returns that. AssertionError after `seconds`."""
    deadline, pause = time.monotonic() + seconds, CALL_PAUSE_SECONDS
    while True:
        found = look()
        if enough(found):
            return found
        assert time.monotonic() < deadline, f"still not: {found}"
        time.sleep(pause)
        pause = min(pause * POLL_GROWTH, POLL_SECONDS_MAX)


def run_concurrently(count: int, call: Callable[[int], T]) -> list[T]:
    """Run `call` in `count` threads; returns the results in order."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))
