"""Sign-up, log-in, refresh and log-out over ports in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.errors import IdempotencyMismatch, RateLimited, Unauthenticated
from atelier.identity.log_in import LogIn, log_in
from atelier.identity.log_out import log_out
from atelier.identity.model import (
    Credentials,
    Device,
    EmailTaken,
    SignedIn,
    Tokens,
    UserStatus,
    new_user,
    open_session,
)
from atelier.identity.permissions import Role
from atelier.identity.refresh import refresh
from atelier.identity.sign_up import SignUp, sign_up
from atelier.identity.verify_email import verify_email
from atelier.ledger.model import Mailbox
from tests.unit.identity.fakes import Identity

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DEVICE = Device("Firefox", "203.0.113.7")
ADA = SignUp("ada@example.com", "correct horse battery", "Ada", DEVICE)


def signed_up(identity: Identity, command: SignUp = ADA, now: datetime = NOW) -> SignedIn:
    return sign_up(command, **identity.sign_in_ports, now=now)


def logged_in(
    identity: Identity,
    email: str = ADA.email,
    password: str = ADA.password,
    now: datetime = NOW,
    device: Device = DEVICE,
) -> SignedIn:
    return log_in(LogIn(email, password, device), **identity.sign_in_ports, now=now)


def refreshed(identity: Identity, token: str, now: datetime = NOW) -> Tokens:
    return refresh(token, **identity.session_ports, now=now)


def test_signing_up_makes_a_user_a_workspace_a_wallet_and_a_session() -> None:
    identity = Identity()
    answer = signed_up(identity)
    store = identity.store
    assert store.users == {answer.user.id: answer.user}
    assert (answer.user.email, answer.user.name, answer.user.email_verified) == ("ada@example.com", "Ada", False)
    assert store.workspaces == {answer.workspace.id: answer.workspace}
    assert (answer.workspace.kind, answer.workspace.tier) == ("personal", "free")
    assert store.roles == {(answer.user.id, answer.workspace.id): Role.OWNER}
    assert store.wallets == {answer.workspace.id: Mailbox.UNVERIFIED}
    assert not answer.replayed
    claims = identity.access_tokens.verify(answer.tokens.access_token, NOW)
    assert (claims.user_id, claims.workspace_id) == (answer.user.id, answer.workspace.id)
    assert (claims.user_id, claims.session_id) in store.sessions


def test_a_taken_email_is_refused() -> None:
    identity = Identity()
    signed_up(identity)
    with pytest.raises(EmailTaken):
        signed_up(identity, replace(ADA, password="another good one", name="Eve"))
    assert len(identity.store.users) == 1


def test_a_sign_up_repeated_with_its_key_opens_another_session() -> None:
    identity = Identity()
    command = replace(ADA, idempotency_key="sign-up-1")
    first = signed_up(identity, command)
    again = signed_up(identity, command)
    assert again.replayed
    assert (again.user, again.workspace) == (first.user, first.workspace)
    assert len(identity.store.users) == 1
    assert len(identity.store.sessions) == 2
    assert refreshed(identity, str(again.tokens.refresh_token))


@pytest.mark.parametrize("change", [{"password": "another good one"}, {"name": "Eve"}], ids=repr)
def test_a_key_does_not_open_the_account_to_another_request(change: dict[str, str]) -> None:
    identity = Identity()
    command = replace(ADA, idempotency_key="sign-up-1")
    signed_up(identity, command)
    with pytest.raises(IdempotencyMismatch):
        signed_up(identity, replace(command, **change))
    assert len(identity.store.sessions) == 1


@pytest.mark.parametrize("key", [None, "sign-up-2"])
def test_without_the_key_of_the_sign_up_the_right_password_is_still_a_conflict(key: str | None) -> None:
    identity = Identity()
    signed_up(identity, replace(ADA, idempotency_key="sign-up-1"))
    with pytest.raises(EmailTaken):
        signed_up(identity, replace(ADA, idempotency_key=key))


def test_logging_in_opens_a_session_of_its_own() -> None:
    identity = Identity()
    first = signed_up(identity)
    second = logged_in(identity, now=NOW + SECOND)
    assert (second.user, second.workspace) == (first.user, first.workspace)
    assert second.tokens.refresh_token.session_id != first.tokens.refresh_token.session_id
    assert identity.store.last_login_at == {first.user.id: NOW + SECOND}


def test_a_wrong_password_and_an_unknown_email_are_refused_alike_for_the_same_work() -> None:
    identity = Identity()
    signed_up(identity)
    refusals: list[str] = []
    for email, password in (("ada@example.com", "wrong horse battery"), ("eve@example.com", "wrong horse battery")):
        before = identity.passwords.work
        with pytest.raises(Unauthenticated) as refused:
            logged_in(identity, email, password)
        refusals.append(refused.value.message)
        assert identity.passwords.work == before + 1
    assert refusals[0] == refusals[1]


def test_a_suspended_user_cannot_log_in() -> None:
    identity = Identity()
    user = signed_up(identity).user
    identity.store.users[user.id] = replace(user, status=UserStatus.SUSPENDED)
    with pytest.raises(Unauthenticated):
        logged_in(identity)


def test_logging_in_renews_an_outdated_hash() -> None:
    identity = Identity()
    signed_up(identity)
    identity.passwords.parameters = "tomorrow"
    logged_in(identity)
    renewed = identity.store.credentials(ADA.email)
    assert renewed is not None
    assert renewed.password_hash.startswith("tomorrow:")
    assert logged_in(identity)


def test_an_account_is_limited_before_anything_is_hashed() -> None:
    identity = Identity(per_account=3)
    signed_up(identity)
    for number in range(2):
        logged_in(identity, device=Device("", f"203.0.113.{number}"))
    work = identity.passwords.work
    with pytest.raises(RateLimited) as refused:
        logged_in(identity, device=Device("", "203.0.113.99"))
    assert identity.passwords.work == work
    assert (refused.value.limit, refused.value.retry_after_seconds) == (3, 295)
    assert logged_in(identity, now=NOW + 295 * SECOND)


def test_an_address_is_limited_over_all_accounts() -> None:
    identity = Identity(per_address=4)
    for number in range(4):
        with pytest.raises(Unauthenticated):
            logged_in(identity, email=f"user{number}@example.com")
    with pytest.raises(RateLimited):
        signed_up(identity)
    assert signed_up(identity, replace(ADA, device=Device("", "203.0.113.8")))


def test_an_address_over_its_limit_does_not_lock_an_account() -> None:
    identity = Identity(per_account=5, per_address=4)
    signed_up(identity)
    for _ in range(20):
        with pytest.raises((RateLimited, Unauthenticated)):
            logged_in(identity, password="wrong horse battery")
    assert logged_in(identity, device=Device("", "198.51.100.1"))


def test_refreshing_rotates_the_token() -> None:
    identity = Identity()
    first = signed_up(identity).tokens.refresh_token
    second = refreshed(identity, str(first), NOW + SECOND).refresh_token
    third = refreshed(identity, str(second), NOW + 2 * SECOND).refresh_token
    assert len({first.secret, second.secret, third.secret}) == 3
    assert {first.session_id} == {second.session_id, third.session_id}


def test_within_the_grace_a_used_token_gives_the_same_successor() -> None:
    identity = Identity()
    first = str(signed_up(identity).tokens.refresh_token)
    second = refreshed(identity, first).refresh_token
    assert refreshed(identity, first, NOW + 10 * SECOND).refresh_token == second
    assert refreshed(identity, str(second), NOW + 11 * SECOND)


def test_a_token_used_after_its_grace_ends_the_whole_family() -> None:
    identity = Identity()
    first = str(signed_up(identity).tokens.refresh_token)
    second = str(refreshed(identity, first).refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, first, NOW + 11 * SECOND)
    with pytest.raises(Unauthenticated):
        refreshed(identity, second, NOW + 11 * SECOND)


def test_a_guess_at_a_secret_ends_the_family() -> None:
    identity = Identity()
    token = signed_up(identity).tokens.refresh_token
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(replace(token, secret=bytes(32))))
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(token))


def test_the_end_of_one_family_leaves_the_others() -> None:
    identity = Identity()
    phone = str(signed_up(identity).tokens.refresh_token)
    laptop = str(logged_in(identity).tokens.refresh_token)
    refreshed(identity, phone)
    with pytest.raises(Unauthenticated):
        refreshed(identity, phone, NOW + 11 * SECOND)
    assert refreshed(identity, laptop, NOW + 11 * SECOND)


def test_an_idle_session_cannot_be_refreshed() -> None:
    identity = Identity()
    token = str(signed_up(identity).tokens.refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, token, NOW + timedelta(days=7))


def test_a_session_ends_after_thirty_days_of_use() -> None:
    identity = Identity()
    token = str(signed_up(identity).tokens.refresh_token)
    for day in range(1, 30):
        token = str(refreshed(identity, token, NOW + timedelta(days=day)).refresh_token)
    with pytest.raises(Unauthenticated):
        refreshed(identity, token, NOW + timedelta(days=30))


def test_a_token_of_another_user_does_not_reach_a_session() -> None:
    identity = Identity()
    ada = signed_up(identity).tokens.refresh_token
    eve = signed_up(identity, replace(ADA, email="eve@example.com")).tokens.refresh_token
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(replace(eve, session_id=ada.session_id)))
    assert refreshed(identity, str(ada))


def test_logging_out_with_a_refresh_token_ends_its_session_again_and_again() -> None:
    identity = Identity()
    tokens = signed_up(identity).tokens
    for _ in range(2):
        log_out(str(tokens.refresh_token), None, **identity.session_ports, now=NOW)
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(tokens.refresh_token))


def test_logging_out_with_an_access_token_ends_its_session() -> None:
    identity = Identity()
    tokens = signed_up(identity).tokens
    log_out(None, tokens.access_token, **identity.session_ports, now=NOW)
    with pytest.raises(Unauthenticated):
        refreshed(identity, str(tokens.refresh_token))


def test_logging_out_with_nothing_or_with_rubbish_is_no_error() -> None:
    identity = Identity()
    tokens = signed_up(identity).tokens
    for refresh_token, access_token in ((None, None), ("rubbish", "rubbish")):
        log_out(refresh_token, access_token, **identity.session_ports, now=NOW)
    assert refreshed(identity, str(tokens.refresh_token))


def test_one_mailbox_has_one_accounts_daily_credits_however_it_is_written() -> None:
    identity = Identity()
    first = signed_up(identity)
    written = ["ada+1@example.com", "ada+studio@example.com"]
    later = [signed_up(identity, replace(ADA, email=email)) for email in written]
    assert identity.store.wallets[first.workspace.id] is Mailbox.UNVERIFIED
    assert {identity.store.wallets[each.workspace.id] for each in later} == {Mailbox.SHARED}


def test_an_account_from_before_claims_its_mailbox_when_it_logs_in() -> None:
    identity = Identity()
    user, workspace = new_user(ADA.email, "Ada", NOW)
    session, _ = open_session(user.id, workspace.id, ADA.device, NOW)
    old = Credentials(ADA.email, user.id, workspace.id, identity.passwords.hash(ADA.password))
    identity.store.create(old, user, workspace, session)
    logged_in(identity)
    later = signed_up(identity, replace(ADA, email="ada+1@example.com"))
    assert identity.store.wallets == {workspace.id: Mailbox.COUNTS, later.workspace.id: Mailbox.SHARED}


def test_who_verifies_the_mailbox_first_has_its_daily_credits() -> None:
    identity = Identity()
    squatter, owner = signed_up(identity, replace(ADA, email="ada+free@example.com")), signed_up(identity)
    verified = verify_email(ADA.email, accounts=identity.store, now=NOW)
    assert (verified.email_verified, verified.email_verified_at) == (True, NOW)
    verify_email("ada+free@example.com", accounts=identity.store, now=NOW + SECOND)
    assert identity.store.wallets == {owner.workspace.id: Mailbox.COUNTS, squatter.workspace.id: Mailbox.SHARED}
    assert verify_email(ADA.email, accounts=identity.store, now=NOW + SECOND) == verified


@pytest.mark.parametrize(
    ("address", "limit"),
    [("203.0.113.7", 2), ("2001:db8:1:2::{:x}", 2), ("203.0.113.{}", 10), ("2001:db8:1:{:x}::1", 10)],
)
def test_sign_ups_of_a_day_are_bounded_by_address_and_by_its_surroundings(address: str, limit: int) -> None:
    identity = Identity(sign_ups_per_address=2)

    def sign_up_from(number: int) -> None:
        device = Device("", address.format(number + 1))
        signed_up(identity, replace(ADA, email=f"user{number}@example.com", device=device))

    for number in range(limit):
        sign_up_from(number)
    with pytest.raises(RateLimited) as refused:
        sign_up_from(limit)
    assert refused.value.retry_after_seconds == 3 * 3600 - 5  # Until midnight, UTC.


def test_one_mailbox_cannot_be_signed_up_without_end() -> None:
    identity = Identity(per_address=100, sign_ups_per_address=100)
    for number in range(10):
        signed_up(identity, replace(ADA, email=f"ada+{number}@example.com"))
    with pytest.raises(RateLimited):
        signed_up(identity)
