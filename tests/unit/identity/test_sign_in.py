"""Sign-up, log-in, refresh and log-out over ports in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.audit_log.model import Origin
from atelier.errors import IdempotencyMismatch, RateLimited, Unauthenticated
from atelier.identity.log_in import LogIn, log_in
from atelier.identity.log_out import log_out
from atelier.identity.model import (
    Credentials,
    Device,
    EmailTaken,
    PresentedTicket,
    SecondFactorRequired,
    SessionTokens,
    SignedIn,
    TicketPurpose,
    UserStatus,
    new_user,
    open_session,
)
from atelier.identity.opening import Opening
from atelier.identity.permissions import Role
from atelier.identity.refresh import refresh
from atelier.identity.sign_in import NOBODY
from atelier.identity.sign_up import SignUp, sign_up
from atelier.identity.verify_email import verify_email
from atelier.ledger.model import MailboxState
from tests.unit.identity.fakes import IdentityFakes

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DEVICE = Device("Firefox", "203.0.113.7")
THIEF = Origin(address="198.51.100.9", user_agent="curl/8")
ADA = SignUp("ada@example.com", "correct horse battery", "Ada", DEVICE)


def signed_up(identity: IdentityFakes, command: SignUp = ADA, now: datetime = NOW) -> SignedIn:
    result = sign_up(command, **identity.sign_in_ports, now=now)
    assert isinstance(result, SignedIn)
    return result


def logged_in(
    identity: IdentityFakes,
    email: str = ADA.email,
    password: str = ADA.password,
    now: datetime = NOW,
    device: Device = DEVICE,
) -> SignedIn:
    result = log_in(LogIn(email, password, device), **identity.sign_in_ports, now=now)
    assert isinstance(result, SignedIn)
    return result


def refreshed(identity: IdentityFakes, token: str, now: datetime = NOW) -> SessionTokens:
    return refresh(token, THIEF, **identity.session_ports, now=now)


def test_a_sign_up_creates_a_user_a_workspace_a_wallet_and_a_session() -> None:
    identity = IdentityFakes()
    answer = signed_up(identity)
    store = identity.store
    assert store.users == {answer.user.id: answer.user}
    assert (answer.user.email, answer.user.name, answer.user.email_verified) == ("ada@example.com", "Ada", False)
    assert store.workspaces == {answer.workspace.id: answer.workspace}
    assert (answer.workspace.kind, answer.workspace.tier) == ("personal", "free")
    assert store.roles == {(answer.user.id, answer.workspace.id): Role.OWNER}
    assert store.wallets == {answer.workspace.id: MailboxState.UNVERIFIED}
    assert not answer.replayed
    claims = identity.access_tokens.verify(answer.tokens.access_token, NOW)
    assert (claims.user_id, claims.workspace_id) == (answer.user.id, answer.workspace.id)
    assert (claims.user_id, claims.session_id) in store.sessions


def test_an_email_that_has_an_account_is_refused() -> None:
    identity = IdentityFakes()
    signed_up(identity)
    with pytest.raises(EmailTaken):
        signed_up(identity, replace(ADA, password="another good one", name="Eve"))
    assert len(identity.store.users) == 1


def test_a_sign_up_repeated_with_its_idempotency_key_opens_another_session() -> None:
    identity = IdentityFakes()
    command = replace(ADA, idempotency_key="sign-up-1")
    first = signed_up(identity, command)
    again = signed_up(identity, command)
    assert again.replayed
    assert (again.user, again.workspace) == (first.user, first.workspace)
    assert len(identity.store.users) == 1
    assert len(identity.store.sessions) == 2
    assert refreshed(identity, str(again.tokens.refresh_token))


@pytest.mark.parametrize("change", [{"password": "another good one"}, {"name": "Eve"}], ids=repr)
def test_an_idempotency_key_with_another_body_does_not_open_the_account(change: dict[str, str]) -> None:
    identity = IdentityFakes()
    command = replace(ADA, idempotency_key="sign-up-1")
    signed_up(identity, command)
    with pytest.raises(IdempotencyMismatch):
        signed_up(identity, replace(command, **change))
    assert len(identity.store.sessions) == 1


@pytest.mark.parametrize("key", [None, "sign-up-2"])
def test_a_repeated_sign_up_without_its_idempotency_key_is_a_conflict(key: str | None) -> None:
    identity = IdentityFakes()
    signed_up(identity, replace(ADA, idempotency_key="sign-up-1"))
    with pytest.raises(EmailTaken):
        signed_up(identity, replace(ADA, idempotency_key=key))


def test_a_login_opens_its_own_session() -> None:
    identity = IdentityFakes()
    first = signed_up(identity)
    second = logged_in(identity, now=NOW + SECOND)
    assert (second.user, second.workspace) == (first.user, first.workspace)
    assert second.tokens.refresh_token.session_id != first.tokens.refresh_token.session_id
    assert identity.store.last_login_at == {first.user.id: NOW + SECOND}


def test_every_refusal_is_the_same_for_the_same_work() -> None:
    identity = IdentityFakes()
    ada, store = signed_up(identity).user, identity.store
    suspended = signed_up(identity, replace(ADA, email="bob@example.com")).user
    store.users[suspended.id] = replace(suspended, status=UserStatus.SUSPENDED)
    without = signed_up(identity, replace(ADA, email="cyd@example.com")).user
    store.set_password_hash("cyd@example.com", None)
    store.events.clear()

    refusals: list[tuple[str, int, int, int]] = []
    for email, password in (
        (ADA.email, "wrong horse battery"),
        ("eve@example.com", ADA.password),
        ("bob@example.com", ADA.password),
        ("cyd@example.com", ADA.password),
    ):
        hashes, reads, events = identity.passwords.work, store.reads, len(store.events)
        with pytest.raises(Unauthenticated) as refused:
            logged_in(identity, email, password)
        refusals.append(
            (refused.value.message, identity.passwords.work - hashes, store.reads - reads, len(store.events) - events)
        )
    assert refusals == [("The e-mail or the password is wrong.", 1, 1, 1)] * 4
    told = [(event.log, event.action, event.outcome) for event in store.events]
    logs = [ada.id, NOBODY[0], suspended.id, without.id]
    assert told == [(log, "session.refused", "refused") for log in logs]


def test_a_second_factor_is_asked_for_before_any_session_is_opened() -> None:
    identity = IdentityFakes()
    ada = signed_up(identity).user
    identity.store.users[ada.id] = replace(ada, second_factors=("totp",))
    sessions = dict(identity.store.sessions)
    result = log_in(LogIn(ADA.email, ADA.password, DEVICE), **identity.sign_in_ports, now=NOW)
    assert isinstance(result, SecondFactorRequired)
    assert result.factors == ("totp",)
    assert identity.store.sessions == sessions
    presented = PresentedTicket.parse(str(result.ticket))
    stored = identity.store.ticket(presented.user_id, presented.ticket_id)
    purpose = TicketPurpose.SECOND_FACTOR
    assert presented.require(stored, purpose, NOW + timedelta(minutes=5) - SECOND) == stored
    for wrong in (
        lambda: presented.require(stored, purpose, NOW + timedelta(minutes=5)),
        lambda: presented.require(stored, TicketPurpose.RESTORE, NOW),
        lambda: presented.require(None, purpose, NOW),
        lambda: replace(presented, digest="0" * 64).require(stored, purpose, NOW),
        lambda: PresentedTicket.parse(str(result.ticket)[:-1]),
    ):
        with pytest.raises(Unauthenticated):
            wrong()


def test_the_first_sign_in_from_another_device_or_network_is_told_once() -> None:
    identity = IdentityFakes()
    signed_up(identity)
    for device in (
        DEVICE,
        Device("Firefox", "203.0.113.200"),
        Device("Firefox", "198.51.100.7"),
        Device("Firefox", "198.51.100.7"),
        Device("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36", "198.51.100.7"),
    ):
        logged_in(identity, device=device)
    told = [event.facts for event in identity.store.events if event.action == "device.new"]
    assert [(facts["device"], facts["network"]) for facts in told] == [
        ("an unknown device", "198.51.100.0/24"),
        ("Chrome on Linux", "198.51.100.0/24"),
    ]


def test_a_suspended_user_cannot_log_in() -> None:
    identity = IdentityFakes()
    user = signed_up(identity).user
    identity.store.users[user.id] = replace(user, status=UserStatus.SUSPENDED)
    with pytest.raises(Unauthenticated):
        logged_in(identity)


def test_a_login_renews_an_outdated_password_hash() -> None:
    identity = IdentityFakes()
    signed_up(identity)
    identity.passwords.parameters = "tomorrow"
    logged_in(identity)
    renewed = identity.store.credentials(ADA.email)
    assert renewed is not None
    assert renewed.password_hash is not None
    assert renewed.password_hash.startswith("tomorrow:")
    assert logged_in(identity)


def test_an_account_is_rate_limited_before_its_password_is_hashed() -> None:
    identity = IdentityFakes(per_account=3)
    signed_up(identity)
    for number in range(2):
        logged_in(identity, device=Device("", f"203.0.113.{number}"))
    work = identity.passwords.work
    with pytest.raises(RateLimited) as refused:
        logged_in(identity, device=Device("", "203.0.113.99"))
    assert identity.passwords.work == work
    assert (refused.value.limit, refused.value.retry_after_seconds) == (3, 295)
    assert logged_in(identity, now=NOW + 295 * SECOND)


def test_an_address_is_rate_limited_across_accounts() -> None:
    identity = IdentityFakes(per_address=4)
    for number in range(4):
        with pytest.raises(Unauthenticated):
            logged_in(identity, email=f"user{number}@example.com")
    with pytest.raises(RateLimited):
        signed_up(identity)
    assert signed_up(identity, replace(ADA, device=Device("", "203.0.113.8")))


def test_an_address_over_its_limit_does_not_lock_the_account() -> None:
    identity = IdentityFakes(per_account=5, per_address=4)
    signed_up(identity)
    for _ in range(20):
        with pytest.raises((RateLimited, Unauthenticated)):
            logged_in(identity, password="wrong horse battery")
    assert logged_in(identity, device=Device("", "198.51.100.1"))


def test_a_refresh_rotates_the_refresh_token() -> None:
    identity = IdentityFakes()
    first = signed_up(identity).tokens.refresh_token
    second = refreshed(identity, str(first), NOW + SECOND).refresh_token
    third = refreshed(identity, str(second), NOW + 2 * SECOND).refresh_token
    assert len({first.secret, second.secret, third.secret}) == 3
    assert {first.session_id} == {second.session_id, third.session_id}


def test_a_used_refresh_token_returns_the_same_successor_within_its_grace() -> None:
    identity = IdentityFakes()
    first = str(signed_up(identity).tokens.refresh_token)
    second = refreshed(identity, first).refresh_token
    assert refreshed(identity, first, NOW + 10 * SECOND).refresh_token == second
    assert refreshed(identity, str(second), NOW + 11 * SECOND)


def test_a_refresh_token_reused_after_its_grace_ends_the_session() -> None:
    identity = IdentityFakes()
    first = str(signed_up(identity).tokens.refresh_token)
    second = str(refreshed(identity, first).refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, first, NOW + 11 * SECOND)
    with pytest.raises(Unauthenticated):
        refreshed(identity, second, NOW + 11 * SECOND)
    user_id, session_id = first.split(".")[:2]
    [event] = [each for each in identity.store.events if each.action == "session.token_reused"]
    assert (event.log, event.target, event.outcome, event.origin) == (user_id, session_id, "refused", THIEF)
    assert event.facts == {"device": "an unknown device", "network": "203.0.113.0/24"}


def test_a_guessed_refresh_secret_ends_the_session() -> None:
    identity = IdentityFakes()
    token = signed_up(identity).tokens.refresh_token
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(replace(token, secret=bytes(32))))
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(token))


def test_the_end_of_one_session_leaves_the_others() -> None:
    identity = IdentityFakes()
    phone = str(signed_up(identity).tokens.refresh_token)
    laptop = str(logged_in(identity).tokens.refresh_token)
    refreshed(identity, phone)
    with pytest.raises(Unauthenticated):
        refreshed(identity, phone, NOW + 11 * SECOND)
    assert refreshed(identity, laptop, NOW + 11 * SECOND)


def test_an_idle_session_cannot_be_refreshed() -> None:
    identity = IdentityFakes()
    token = str(signed_up(identity).tokens.refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, token, NOW + timedelta(days=7))


def test_a_session_ends_after_thirty_days_of_use() -> None:
    identity = IdentityFakes()
    token = str(signed_up(identity).tokens.refresh_token)
    for day in range(1, 30):
        token = str(refreshed(identity, token, NOW + timedelta(days=day)).refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, token, NOW + timedelta(days=30))


def test_a_refresh_token_of_another_user_is_refused() -> None:
    identity = IdentityFakes()
    ada = signed_up(identity).tokens.refresh_token
    eve = signed_up(identity, replace(ADA, email="eve@example.com")).tokens.refresh_token
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(replace(eve, session_id=ada.session_id)))
    assert refreshed(identity, str(ada))


def test_a_logout_with_a_refresh_token_ends_the_session_and_is_repeatable() -> None:
    identity = IdentityFakes()
    tokens = signed_up(identity).tokens
    for _ in range(2):
        log_out(str(tokens.refresh_token), None, **identity.session_ports, now=NOW)
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(tokens.refresh_token))


def test_a_logout_with_an_access_token_ends_the_session() -> None:
    identity = IdentityFakes()
    tokens = signed_up(identity).tokens
    log_out(None, tokens.access_token, **identity.session_ports, now=NOW)
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(tokens.refresh_token))


def test_a_logout_without_a_valid_token_ends_no_session() -> None:
    identity = IdentityFakes()
    tokens = signed_up(identity).tokens
    for refresh_token, access_token in ((None, None), ("rubbish", "rubbish")):
        log_out(refresh_token, access_token, **identity.session_ports, now=NOW)
    assert refreshed(identity, str(tokens.refresh_token))


def test_addresses_of_one_mailbox_share_one_accounts_daily_credits() -> None:
    identity = IdentityFakes()
    first = signed_up(identity)
    written = ["ada+1@example.com", "ada+studio@example.com"]
    later = [signed_up(identity, replace(ADA, email=email)) for email in written]
    assert identity.store.wallets[first.workspace.id] is MailboxState.UNVERIFIED
    assert {identity.store.wallets[each.workspace.id] for each in later} == {MailboxState.SHARED}


def test_an_older_account_claims_its_mailbox_at_login() -> None:
    identity = IdentityFakes()
    user, workspace = new_user(ADA.email, "Ada", NOW)
    session, _ = open_session(user.id, workspace.id, ADA.device, NOW)
    old = Credentials(ADA.email, user.id, workspace.id, identity.passwords.hash(ADA.password))
    identity.store.create(old, user, workspace, Opening(session))
    logged_in(identity)
    later = signed_up(identity, replace(ADA, email="ada+1@example.com"))
    assert identity.store.wallets == {workspace.id: MailboxState.ELIGIBLE, later.workspace.id: MailboxState.SHARED}


def test_the_first_account_that_verifies_a_mailbox_gets_its_daily_credits() -> None:
    identity = IdentityFakes()
    squatter, owner = signed_up(identity, replace(ADA, email="ada+free@example.com")), signed_up(identity)
    verified = verify_email(ADA.email, accounts=identity.store, now=NOW)
    assert (verified.email_verified, verified.email_verified_at) == (True, NOW)
    verify_email("ada+free@example.com", accounts=identity.store, now=NOW + SECOND)
    assert identity.store.wallets == {
        owner.workspace.id: MailboxState.ELIGIBLE,
        squatter.workspace.id: MailboxState.SHARED,
    }
    assert verify_email(ADA.email, accounts=identity.store, now=NOW + SECOND) == verified


@pytest.mark.parametrize(
    ("address", "limit"),
    [("203.0.113.7", 2), ("2001:db8:1:2::{:x}", 2), ("203.0.113.{}", 10), ("2001:db8:1:{:x}::1", 10)],
)
def test_daily_sign_ups_are_limited_by_address_and_by_network(address: str, limit: int) -> None:
    identity = IdentityFakes(sign_ups_per_address=2)

    def sign_up_from(number: int) -> None:
        device = Device("", address.format(number + 1))
        signed_up(identity, replace(ADA, email=f"user{number}@example.com", device=device))

    for number in range(limit):
        sign_up_from(number)
    with pytest.raises(RateLimited) as refused:
        sign_up_from(limit)
    assert refused.value.retry_after_seconds == 3 * 3600 - 5  # Until midnight, UTC.


def test_sign_ups_of_one_mailbox_are_limited() -> None:
    identity = IdentityFakes(per_address=100, sign_ups_per_address=100)
    for number in range(10):
        signed_up(identity, replace(ADA, email=f"ada+{number}@example.com"))
    with pytest.raises(RateLimited):
        signed_up(identity)
