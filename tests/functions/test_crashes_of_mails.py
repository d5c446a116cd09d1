"""A mail's way dies at each AWS call: of the request that writes it, and of the stream that sends it. Then the client
repeats its request, or the stream delivers again. No mail is lost, and at most one comes twice, with the same link.
CRASHES_OF_MAILS.md has a row for each call; the option --write-mail-crashes writes it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from tests.crashes.interceptor import SERVICES, Call, CallInterceptor, FaultMode, ProcessDied
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.mail_inbox import inbox, stream_event, token_of, verify_sender
from tests.functions.people import Person, call, create_organization, create_person, set_tier
from tests.functions.responses import Reply, invoke_app
from tests.invoke import event, load_function, with_request

TABLE = Path(__file__).with_name("CRASHES_OF_MAILS.md")
HEAD = """# What becomes of a mail when a process dies

Each story is played once for each of its AWS calls and each way in which it can fail: the function dies before the
call, or after it, or the answer to the call is lost and the SDK repeats it. Then the client repeats its request, and
the stream delivers again until the function has succeeded. A cell says how many mails came to the address: one more
than the outbox has if a mail came twice, with the same link.

Written by `pytest tests/functions/test_crashes_of_mails.py --write-mail-crashes`.
"""
SENDER = "mail@atelier.example"
TRIES_MAX = 4
RATES = "SIGN_UPS_PER_ADDRESS", "SIGN_INS_PER_ADDRESS", "MAILS_PER_ADDRESS", "REQUESTS_PER_MINUTE"
Request = Callable[[], Reply]


@dataclass(frozen=True)
class Story:
    """`begin(address)`: prepares what was before; returns the request that has a mail sent to this address."""

    name: str
    function: str
    begin: Callable[[str], Request]


def _post(function: str, path: str, body: object, **headers: str) -> Reply:
    request = with_request(event("api/auth/signup"), f"POST /api/auth/{path}", "ANY /api/auth/{proxy+}", headers, body)
    return invoke_app(load_function(function), request)


def _sign_up(address: str) -> Request:
    body = {"email": address, "password": "correct horse battery", "name": "Ada", "token_delivery": "body"}
    return lambda: _post("api/auth", "signup", body, **{"idempotency-key": "once"})


def _forget_password(address: str) -> Request:
    create_person(address.partition("@")[0])
    return lambda: _post("api/mailbox", "forgot-password", {"email": address})


def _invite(address: str) -> Request:
    owner: Person = create_person(f"owner-{uuid.uuid4().int % 10**12:012}")
    workspaces = load_function("api/workspaces")
    organization = create_organization(workspaces, owner)["id"]
    set_tier(organization, "studio@1")
    path, body = f"POST /api/workspaces/{organization}/invitations", {"email": address, "role": "editor"}
    return lambda: call(load_function("api/workspaces"), owner, path, body, **{"idempotency-key": "once"})


STORIES = (
    Story("sign-up", "api/auth", _sign_up),
    Story("forgotten password", "api/mailbox", _forget_password),
    Story("invitation", "api/workspaces", _invite),
)


@dataclass(frozen=True)
class Way:
    """The world of the stories. `url`: of the embedded AWS."""

    tables: Tables
    url: str
    wire: CallInterceptor

    def play(self, story: Story, faults: dict[int, FaultMode]) -> tuple[int, list[Call]]:
        """Plays a story; returns how many mails came, and the calls."""
        address = f"ada-{uuid.uuid4().hex[:12]}@example.com"
        request = story.begin(address)
        self.wire.restart(faults, lambda each: None)
        deaths = self._until_done(story.function, lambda: request()["statusCode"] < 300)
        deaths += self._until_done("streams/identity", lambda: self._deliver(address))
        assert deaths == sum(mode is not FaultMode.LOSE_ANSWER for mode in faults.values())
        return self._check(address), list(self.wire.calls)

    def _until_done(self, function: str, work: Callable[[], bool]) -> int:
        """Invokes a function until it has succeeded; returns how many processes died."""
        for deaths in range(TRIES_MAX):
            # Each invocation is a cold start, so that it makes the same calls whatever came before.
            clear_wiring_caches(clients=False)
            with suppress(ProcessDied), self.wire.invocation(function):
                assert work(), f"{function} failed, and nothing had died"
                return deaths
        raise AssertionError(f"{function} never succeeds")

    def _deliver(self, address: str) -> bool:
        load_function("streams/identity").handler({"Records": self._records(address)}, None)
        return True

    def _records(self, address: str) -> list[dict[str, Any]]:
        records = stream_event(self.tables.identity)["Records"]
        return [each for each in records if each["dynamodb"]["NewImage"]["to"]["S"] == address]

    def _check(self, address: str) -> int:
        requested = [each["dynamodb"]["NewImage"] for each in self._records(address)]
        assert {each["outcome"]["S"] for each in requested} == {"sent"}, "a mail was lost"
        came = inbox(self.url, address)
        assert len(requested) <= len(came) <= 2, f"{len(came)} mails came"
        assert len({token_of(mail) for mail in came}) == len(requested)
        return len(came)


@pytest.fixture
def way(deployed: Tables, emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    verify_sender(SENDER)
    monkeypatch.setenv("ATELIER_MAIL_FROM", SENDER)
    # More than the stories send, and more requests than people make.
    for limit in ("MAILS_PER_SECOND", *(f"RATE_{each}" for each in RATES)):
        monkeypatch.setenv(f"ATELIER_{limit}", "100000")
    client("sesv2")
    wire = CallInterceptor(services=(*SERVICES, "sesv2"))
    with wire.attached():
        yield Way(deployed, emulator, wire)


def explored(way: Way, story: Story) -> str:
    """The section of a story: a row for each of its calls."""
    mails, calls = way.play(story, {})
    assert mails == 1
    assert [each.operation for each in calls if each.function == "streams/identity" and each.writes][-2:] == [
        "SendEmail",
        "UpdateItem",
    ]
    lines = [f"## {story.name}", "", f"| # | function | call | {' | '.join(FaultMode)} |", "|---|---|---|---|---|---|"]
    for each in calls:
        modes = [mode for mode in FaultMode if each.writes or mode is not FaultMode.DIE_AFTER]
        found = {mode: way.play(story, {each.number: mode})[0] for mode in modes}
        # A read changes nothing: a death after it leaves the same as a death before it.
        cells = [str(found.get(mode, found[FaultMode.DIE_BEFORE])) for mode in FaultMode]
        lines.append(f"| {each.number} | {each.function} | {each.operation} {target_of(each)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def target_of(each: Call) -> str:
    """What a call reads or writes. The keys of a batch come in any order."""
    return " + ".join(sorted(each.target.split(" + "))) if each.operation == "BatchGetItem" else each.target


def kept(name: str) -> str:
    """The section of the file."""
    sections = TABLE.read_text("utf-8").split("\n## ")[1:] if TABLE.exists() else []
    return next((f"## {section.rstrip()}\n" for section in sections if section.startswith(f"{name}\n")), "")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_crash_loses_no_mail_and_repeats_at_most_one(way: Way, story: Story, request: pytest.FixtureRequest) -> None:
    found = explored(way, story)
    if request.config.getoption("--write-mail-crashes", default=False):
        sections = {each.name: kept(each.name) for each in STORIES} | {story.name: found}
        TABLE.write_text("\n".join([HEAD, *(section for section in sections.values() if section)]), "utf-8")
    assert kept(story.name) == found, "write it anew: --write-mail-crashes"
