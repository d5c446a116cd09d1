"""Sending: one mail's failure is nobody else's, and the rate is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atelier.errors import Unavailable
from atelier.mails.feedback import SuppressionReason, parse_ses_event
from atelier.mails.mail import MailKind, MailMessage, MailRequest, mail_request
from atelier.mails.pace import SECONDS_MAX, SharedPace
from atelier.mails.ports import MailOutcome, MailRejected, QueuedMail
from atelier.mails.send import MailAddress, SendDeps, send_all
from tests.unit.identity.fakes import InMemoryRateWindows

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
USER = "usr_01M7XCN60QCB8JGMC722TFVM7C"


class Outbox:
    """MailQueue in memory."""

    def __init__(self, *addresses: str) -> None:
        self.mails = {f"mai_{to}": mail_request(MailKind.WELCOME, USER, to, "en", NOW) for to in addresses}
        self.outcomes: dict[str, MailOutcome] = {}
        self.suppressed: set[str] = set()

    @property
    def addresses(self) -> list[MailAddress]:
        return [MailAddress(USER, mail_id) for mail_id in self.mails]

    def find(self, owner_id: str, mail_id: str) -> QueuedMail | None:
        mail = self.mails.get(mail_id)
        return QueuedMail(mail, self.outcomes.get(mail.to), mail.to in self.suppressed) if mail else None

    def record(self, mail: MailRequest, outcome: MailOutcome, at: datetime) -> None:
        self.outcomes[mail.to] = outcome


class Post:
    """Mailer and Renderer: `failing` says which addresses fail, and how."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        self.failing = failing or {}
        self.sent: list[str] = []

    def render(self, mail: MailRequest) -> MailMessage:
        return MailMessage(mail.to, "Hello", "", "")

    def send(self, message: MailMessage) -> None:
        if message.to in self.failing:
            raise self.failing[message.to]
        self.sent.append(message.to)


class NoPace:
    def wait(self) -> None:
        """Waits for nothing."""


def deps(outbox: Outbox, post: Post) -> SendDeps:
    return SendDeps(outbox, post, post, NoPace(), lambda: NOW)


def test_a_failure_is_raised_after_the_others_were_sent_and_only_it_is_repeated() -> None:
    outbox, post = Outbox("a@x.org", "b@x.org", "c@x.org"), Post({"a@x.org": TimeoutError("busy")})
    with pytest.raises(ExceptionGroup):
        send_all(outbox.addresses, deps(outbox, post))
    assert post.sent == ["b@x.org", "c@x.org"]
    post.failing.clear()
    send_all(outbox.addresses, deps(outbox, post))
    assert post.sent == ["b@x.org", "c@x.org", "a@x.org"]


def test_a_rejected_mail_is_not_tried_again() -> None:
    outbox, post = Outbox("a@x.org"), Post({"a@x.org": MailRejected("MessageRejected")})
    send_all(outbox.addresses, deps(outbox, post))
    assert outbox.outcomes == {"a@x.org": MailOutcome.REJECTED}


def test_nothing_is_sent_to_a_suppressed_address() -> None:
    outbox, post = Outbox("a@x.org"), Post()
    outbox.suppressed.add("a@x.org")
    send_all(outbox.addresses, deps(outbox, post))
    assert (post.sent, outbox.outcomes) == ([], {"a@x.org": MailOutcome.SUPPRESSED})


def test_a_mail_that_is_gone_is_no_failure() -> None:
    outbox = Outbox()
    send_all([MailAddress(USER, "mai_gone")], deps(outbox, Post()))
    assert outbox.outcomes == {}


class Time:
    """A clock that `pause` moves on."""

    def __init__(self) -> None:
        self.now = NOW
        self.pauses = 0

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.now += timedelta(seconds=seconds)


def test_no_more_mails_than_the_rate_pass_in_a_second() -> None:
    time = Time()
    pace = SharedPace(InMemoryRateWindows(), 3, lambda: time.now, time.pause)
    for _ in range(9):
        pace.wait()
    assert (time.pauses, time.now) == (2, NOW + timedelta(seconds=2))


def test_mails_that_would_wait_too_long_are_tried_again_later() -> None:
    time, windows = Time(), InMemoryRateWindows()
    for second in range(SECONDS_MAX + 1):
        windows.add("mails", 3, 1, NOW + timedelta(seconds=second))
    with pytest.raises(Unavailable):
        SharedPace(windows, 3, lambda: time.now, time.pause).wait()


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (
            {
                "eventType": "Bounce",
                "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "A@x.org"}]},
            },
            (SuppressionReason.BOUNCE, ("a@x.org",)),
        ),
        (
            {"eventType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": "Ada <a@x.org>"}]}},
            (SuppressionReason.COMPLAINT, ("a@x.org",)),
        ),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Transient", "bouncedRecipients": []}}, None),
        ({"eventType": "Delivery", "delivery": {}}, None),
    ],
)
def test_permanent_bounces_and_complaints_suppress(detail: dict[str, object], expected: object) -> None:
    feedback = parse_ses_event(detail)
    assert (feedback and (feedback.reason, feedback.addresses)) == expected
