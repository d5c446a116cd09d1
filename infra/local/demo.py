"""The demo of `make run`, through the public API alone: sign up, make an image, show its cost, fill a library."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from infra.local import mail
from infra.local.demo_library import fill_library
from infra.local.demo_month import MonthFailed

EMAIL = "demo@example.com"
PROMPT = "a lighthouse at dusk, long shadows, quiet sea"
ACCOUNT_FILE = "demo.json"
GENERATION_SECONDS_MAX = 120.0
MAIL_SECONDS_MAX = 10.0
# Of an account's e-mail and password: the number of results.
MakeMonth = Callable[[Mapping[str, str]], Awaitable[int]]


class DemoFailed(Exception):
    """A step got an unexpected response; the text names the step and the response."""


async def run_demo(
    base_url: str, data: Path, link_path: str, make_month: MakeMonth, fault_marker: str | None = None
) -> None:
    """Runs the demo and prints its steps. A failure is printed as one sentence, and the stack goes on serving.

    link_path: opens Studio signed in as the demo account. make_month: signs a new account up, with a month of usage.
    fault_marker: a marker for the prompt that makes the first candidate's simulator refuse, which shows the fallback to
    the next."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=35)) as session:
        try:
            api = _ApiClient(session, base_url)
            await _sign_in(api, data / ACCOUNT_FILE, make_month)
            _print_line(f"Studio, signed in: {base_url}{link_path}")
            await _run_steps(api, data, fault_marker)
            count = await fill_library(api)
            _print_line(f"the library holds {count} more results, one of each kind")
        except (DemoFailed, MonthFailed, aiohttp.ClientError, TimeoutError) as error:
            _print_line(str(error) or type(error).__name__)


async def _run_steps(api: _ApiClient, data: Path, fault_marker: str | None) -> None:
    _print_line(f"asking for an image of “{PROMPT}”")
    body = {"prompt": PROMPT, "parameters": {"width": 1024, "height": 1024}}
    begun = (await api.call("POST", "/api/generate/image", body))["generation"]
    generation = await api.wait_for_end(begun, _print_line)
    asset = generation["assets"][0]
    file = data / f"{generation['id']}.{asset['format']}"
    path = asset["url"].removeprefix(api.base_url)
    file.write_bytes(await api.download(path))
    _print_line(f"saved {file} ({asset['width']} × {asset['height']}, {file.stat().st_size // 1024} KiB)")
    _print_line(f"to be seen for ten minutes at {api.base_url + path}")
    if fault_marker:
        await _show_fallback(api, fault_marker)
    _print_statement(await api.call("GET", "/api/credits/entries?limit=6"), await api.call("GET", "/api/credits"))


async def _show_fallback(api: _ApiClient, fault_marker: str) -> None:
    _print_line(f"asking again, and the first provider refuses: “{PROMPT} [[{fault_marker}]]”")
    response = await api.call("POST", "/api/generate/image", {"prompt": f"{PROMPT} [[{fault_marker}]]"})
    for attempt in (await api.wait_for_end(response["generation"], _print_line))["attempts"]:
        _print_line(f"{attempt['model']:<28}{attempt['status']:<11}{attempt['error_class'] or ''}")


async def _sign_in(api: _ApiClient, file: Path, make_month: MakeMonth) -> None:
    account = _load_or_create_account(file)
    body = {**account, "token_delivery": "body"}
    status, answer = await api.request("POST", "/api/auth/login", body)
    if status == 401:
        count = await make_month(account)
        _print_line(f"signed up {account['email']}; the password is in {file}")
        _print_line(f"made {count} results with the clock set back, so that Usage shows a month")
        status, answer = await api.request("POST", "/api/auth/login", body)
    else:
        _print_line(f"logged in {account['email']}; the password is in {file}")
    if status != 200:
        raise DemoFailed(f"signing in was answered {status}: {answer}")
    api.access_token = answer["data"]["access_token"]
    if not answer["data"]["user"]["email_verified"]:
        # The link of the first mail is a month old.
        await api.call("POST", "/api/auth/verify-email/resend")
        await _verify_email(api, account["email"])


async def _verify_email(api: _ApiClient, email: str) -> None:
    """Verifies the address by the link of the newest mail, if it still exists: the embedded AWS forgets mails when it
    stops."""
    deadline, refused = time.monotonic() + MAIL_SECONDS_MAX, set[str]()
    while time.monotonic() < deadline:
        _, messages = await api.request("GET", mail.MESSAGES_PATH)
        found = (re.search(r"/verify\?token=([\w.-]+)", each["text"]) for each in messages if email in each["to"])
        for token in {match[1] for match in found if match} - refused:
            status, _ = await api.request("POST", "/api/auth/verify-email", {"token": token})
            if status == 200:
                _print_line(f"verified the address by its mail: {api.base_url}{mail.PATH}")
                return
            refused.add(token)
        await asyncio.sleep(0.2)
    _print_line("the mail that verifies the address has not come")


def _load_or_create_account(file: Path) -> dict[str, str]:
    """E-mail and password of the account stored in the file `kept`, or of a new one. When a crash cut the file short,
    the new account has a new address, because the old one may be taken."""
    email = EMAIL
    if file.exists():
        try:
            return json.loads(file.read_text("utf-8"))
        except ValueError:
            email = EMAIL.replace("@", f"-{secrets.token_hex(4)}@")
    account = {"email": email, "password": secrets.token_urlsafe(18)}
    file.touch(mode=0o600)
    file.write_text(json.dumps(account), "utf-8")
    return account


def _print_statement(statement: Mapping[str, Any], balance: Mapping[str, Any]) -> None:
    """Prints a table of movements, oldest first: how each changed the available and the held credits."""
    _print_line(f"{'movement':<10}{'available':>10}{'held':>6}  of")
    for movement in reversed(statement["items"]):
        _print_line(f"{movement['kind']:<10}{movement['available']:>+10}{movement['held']:>+6}  {movement['subject']}")
    _print_line(f"{'now':<10}{balance['available']:>10}{balance['held']:>6}")


def _print_line(text: str) -> None:
    print(f"demo: {text}", flush=True)


class _ApiClient:
    """A client of Atelier's public API."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url
        self.access_token = ""

    async def request(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any]:
        """The status and the parsed body of one call. key: the Idempotency-Key."""
        headers = {"authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        if key:
            headers["idempotency-key"] = key
        async with self._session.request(method, self.base_url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """The `data` of a successful call; raises DemoFailed."""
        status, answer = await self.request(method, path, body, key)
        if status >= 400:
            raise DemoFailed(f"{method} {path} was answered {status}: {answer.get('message') or answer}")
        return answer["data"]

    async def wait_for_end(
        self, generation: Mapping[str, Any], report: Callable[[str], None] = lambda _line: None
    ) -> Mapping[str, Any]:
        """The generation when it has succeeded. report: is told each change. Raises DemoFailed."""
        deadline = time.monotonic() + GENERATION_SECONDS_MAX
        reported = ""
        while generation["status"] in ("queued", "running"):
            state = f"{generation['status']} {generation['progress']} %"
            if state != reported:
                report(state)
                reported = state
            if time.monotonic() > deadline:
                raise DemoFailed(f"a generation was not ready within {GENERATION_SECONDS_MAX:.0f} s")
            await asyncio.sleep(0.2)
            generation = (await self.call("GET", f"/api/generations/{generation['id']}"))["generation"]
        if generation["status"] != "succeeded":
            raise DemoFailed(f"the generation {generation['status']}: {generation['error']}")
        report(f"succeeded in {generation['duration_ms'] / 1000:.1f} s with {generation['model']}")
        return generation

    async def download(self, path: str) -> bytes:
        """The bytes behind a signed path, which is sent exactly as given; raises DemoFailed."""
        async with self._session.get(URL(self.base_url + path, encoded=True)) as answer:
            if answer.status != 200:
                raise DemoFailed(f"the picture's URL was answered {answer.status}")
            return await answer.read()
