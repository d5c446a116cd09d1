"""Second factors on the emulator's tables, at times that the test chooses; pyotp and a software authenticator are on
the user's side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.adapters.aws.dynamodb.identity.second_factors import DynamoSecondFactors
from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions
from atelier.adapters.aws.dynamodb.identity.sign_ins import DynamoSignIns
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.adapters.aws.factor_vault import VaultSealer
from atelier.audit_log.model import AuditEvent, Origin
from atelier.errors import NotFound, RateLimited, Unauthenticated
from atelier.identity import manage_factors
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.log_in import LogIn, log_in
from atelier.identity.log_in_by_passkey import log_in_by_passkey, passkey_log_in_options
from atelier.identity.manage_factors import FactorOwner
from atelier.identity.model import Device, SecondFactorRequired, SignedIn, SignInResult
from atelier.identity.passkeys import PasskeyRefused, RelyingParty
from atelier.identity.prove_factor import FactorDeps, Proof, step_up, verify_second_factor
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.second_factor import FactorsChanged, LastWayIn
from atelier.identity.sign_in import SignInDeps
from atelier.identity.sign_up import SignUp, sign_up
from atelier.provider_keys.master_keys import new_master_keys, with_new_key
from atelier.provider_keys.model import UnreadableKey
from atelier.provider_keys.reseal_factors import SealedTotp, reseal_factors
from atelier.provider_keys.vault import Vault
from tests.embedded_aws import Tables
from tests.software_authenticator import SoftwareAuthenticator
from tests.unit.identity.fakes import ISSUER, FakeKeySets, FastPasswords

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)
STEP = timedelta(seconds=30)
WINDOW = timedelta(seconds=300)
PASSWORD = "correct horse battery"
DEVICE = Device("Firefox", "203.0.113.7")
ORIGIN = Origin(address="203.0.113.7", user_agent="Firefox", request_id="r1")
PAGE, RP = "https://media.example.com", "media.example.com"


class MasterSecret:
    """MasterSecretReader."""

    def __init__(self) -> None:
        self.keys = new_master_keys(NOW)

    def value(self, *, fresh: bool = False) -> dict[str, Any]:
        return self.keys


class Told:
    """AuditLog that keeps what was told apart from a change."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def append(self, *events: AuditEvent) -> None:
        self.events.extend(events)


class World:
    """Ada's account on the emulator, and what her devices do."""

    def __init__(self, tables: Tables) -> None:
        DynamoAccounts.bind(tables.identity)
        DynamoWallets.bind(tables.ledger)
        DynamoRequestRates.bind(tables.requests)
        audit_log.bind(tables.audit)
        self.told = Told()
        self.limits = SignInLimits(DynamoRequestRates(), 1000, 1000, 1000)
        sign_in = SignInDeps(DynamoSignIns(), self.told, AccessTokens(FakeKeySets(), ISSUER))
        self.master = MasterSecret()
        self.vault = Vault(self.master)
        self.deps = FactorDeps(
            DynamoSecondFactors(),
            DynamoSessions(),
            DynamoAccounts(),
            FastPasswords(),
            VaultSealer(self.vault),
            DynamoRequestRates(),
            RelyingParty(PAGE, lambda origin: origin == PAGE),
            sign_in,
        )
        self.ada = self.sign_up("ada@example.com")

    def sign_up(self, email: str) -> FactorOwner:
        result = sign_up(
            SignUp(email, PASSWORD, "Ada", DEVICE),
            accounts=self.deps.accounts,
            passwords=self.deps.passwords,
            limits=self.limits,
            deps=self.deps.sign_in,
            now=NOW,
        )
        assert isinstance(result, SignedIn)
        session_id = result.tokens.refresh_token.session_id
        return FactorOwner(result.user.id, session_id, result.workspace.id, replace(ORIGIN, user_id=result.user.id))

    def log_in(self, now: datetime) -> SignInResult:
        return log_in(
            LogIn("ada@example.com", PASSWORD, DEVICE),
            accounts=self.deps.accounts,
            passwords=self.deps.passwords,
            limits=self.limits,
            deps=self.deps.sign_in,
            now=now,
        )

    def ticket(self, now: datetime) -> str:
        result = self.log_in(now)
        assert isinstance(result, SecondFactorRequired)
        return str(result.ticket)

    def verify(self, ticket: str, now: datetime, **proof: str) -> SignInResult:
        return verify_second_factor(ticket, Proof(**proof), DEVICE, ORIGIN, deps=self.deps, now=now)

    def reseal(self, steps: int = 100) -> tuple[int, int, int, bool]:
        left = iter([True] * steps)
        kids, factors = self.vault.outdated_kids(), DynamoSecondFactors()
        done = reseal_factors(kids, factors=factors, sealer=VaultSealer(self.vault), has_time=lambda: next(left, False))
        return done.resealed, done.skipped, len(done.unreadable), done.is_complete

    def add_totp(self, now: datetime = NOW) -> tuple[pyotp.TOTP, tuple[str, ...]]:
        setup = manage_factors.begin_totp(self.ada, deps=self.deps, now=now)
        app = pyotp.parse_uri(setup.otpauth_url)
        assert isinstance(app, pyotp.TOTP)
        return app, manage_factors.confirm_totp(self.ada, app.at(now), deps=self.deps, now=now)

    def add_passkey(
        self, key: SoftwareAuthenticator, name: str = "Phone", now: datetime = NOW
    ) -> manage_factors.AddedPasskey:
        options = manage_factors.passkey_options(self.ada, deps=self.deps, now=now)
        return manage_factors.add_passkey(self.ada, key.register(options), name, deps=self.deps, now=now)

    def options(self, now: datetime = NOW) -> dict[str, Any]:
        return passkey_log_in_options(DEVICE.address, limits=self.limits, deps=self.deps, now=now)

    def enter(self, credential: dict[str, Any], ticket: str | None = None, now: datetime = NOW) -> SignInResult:
        return log_in_by_passkey(credential, ticket, DEVICE, ORIGIN, limits=self.limits, deps=self.deps, now=now)

    def reasons(self) -> list[str]:
        return [str(event.facts["reason"]) for event in self.told.events if "reason" in event.facts]


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def at_once(act: Callable[[], object], callers: int = 8) -> list[object]:
    """What parallel calls returned or raised."""
    barrier = threading.Barrier(callers)

    def call(_number: int) -> object:
        barrier.wait(timeout=30)
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def new_key(**changes: Any) -> SoftwareAuthenticator:
    return SoftwareAuthenticator(**{"origin": PAGE, "rp_id": RP, **changes})


def test_a_log_in_asks_for_a_code_and_takes_each_step_once(world: World) -> None:
    assert isinstance(world.log_in(NOW), SignedIn)
    app, codes = world.add_totp()
    assert len(set(codes)) == 10
    now = NOW + WINDOW
    ticket = world.ticket(now)
    with pytest.raises(Unauthenticated):
        world.verify(ticket, now, code=app.at(now - 2 * STEP))
    opened = world.verify(ticket, now, code=app.at(now - STEP))
    assert isinstance(opened, SignedIn)
    session = world.deps.sessions.session(world.ada.user_id, opened.tokens.refresh_token.session_id)
    assert session is not None
    assert (session.way, session.mfa_at) == ("password", now)
    # The ticket is spent, and so is the step, also for another ticket; newer steps are accepted, older ones not.
    with pytest.raises(Unauthenticated):
        world.verify(ticket, now, code=app.at(now))
    later = now + WINDOW
    ticket = world.ticket(later)
    assert world.verify(ticket, later, code=app.at(later + STEP))
    for replay in (later + STEP, later):
        with pytest.raises(Unauthenticated):
            world.verify(world.ticket(later), later, code=app.at(replay))


def test_a_code_is_tried_five_times_in_five_minutes(world: World) -> None:
    app, _ = world.add_totp()
    now = NOW + WINDOW
    ticket = world.ticket(now)
    wrong = next(code for code in ("000000", "111111") if code not in {app.at(now + n * STEP) for n in (-1, 0, 1)})
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            world.verify(ticket, now, code=wrong)
    with pytest.raises(RateLimited):
        world.verify(ticket, now, code=app.at(now))
    # The refused tries stand in the account's log; a later window takes the right code.
    assert [event.outcome for event in world.told.events if event.log == world.ada.user_id] == ["refused"] * 5
    later = now + WINDOW
    assert isinstance(world.verify(world.ticket(later), later, code=app.at(later)), SignedIn)


def test_a_recovery_code_is_good_once_and_a_new_set_replaces_the_old(world: World) -> None:
    _, codes = world.add_totp()
    now = NOW + WINDOW
    assert isinstance(world.verify(world.ticket(now), now, recovery_code=codes[0].lower().replace("-", " ")), SignedIn)
    with pytest.raises(Unauthenticated):
        world.verify(world.ticket(now), now, recovery_code=codes[0])
    factors = world.deps.second_factors.factors(world.ada.user_id)
    assert factors.recovery_codes is not None
    assert len(factors.recovery_codes.digests) == 9
    fresh = manage_factors.new_codes(world.ada, deps=world.deps, now=now)
    now += WINDOW
    with pytest.raises(Unauthenticated):
        world.verify(world.ticket(now), now, recovery_code=codes[1])
    assert isinstance(world.verify(world.ticket(now), now, recovery_code=fresh[1]), SignedIn)


def test_a_used_up_set_of_recovery_codes_is_empty_and_stays_readable(world: World) -> None:
    _, codes = world.add_totp()
    now = NOW
    for code in codes:
        now += WINDOW
        assert isinstance(world.verify(world.ticket(now), now, recovery_code=code), SignedIn)
    left = world.deps.second_factors.factors(world.ada.user_id).recovery_codes
    assert left is not None
    assert left.digests == frozenset()


@pytest.mark.parametrize("way", ["code", "recovery_code"])
def test_verifies_at_once_with_one_ticket_open_one_session(world: World, way: str) -> None:
    app, codes = world.add_totp()
    now = NOW + WINDOW
    proof = {way: app.at(now) if way == "code" else codes[0]}
    before = len(world.deps.sessions.sessions_of(world.ada.user_id))
    ticket = world.ticket(now)
    answers = at_once(lambda: world.verify(ticket, now, **proof), 4)
    assert sum(isinstance(answer, SignedIn) for answer in answers) == 1
    assert sum(isinstance(answer, Unauthenticated) for answer in answers) == 3
    assert len(world.deps.sessions.sessions_of(world.ada.user_id)) == before + 1


def test_an_authenticator_counts_once_confirmed_and_until_then_is_replaced(world: World) -> None:
    first = manage_factors.begin_totp(world.ada, deps=world.deps, now=NOW)
    assert isinstance(world.log_in(NOW), SignedIn)
    app, _ = world.add_totp()
    assert app.secret != first.secret
    assert isinstance(world.log_in(NOW), SecondFactorRequired)
    with pytest.raises(FactorsChanged):
        manage_factors.begin_totp(world.ada, deps=world.deps, now=NOW)
    with pytest.raises(NotFound):
        manage_factors.confirm_totp(world.ada, app.at(NOW), deps=world.deps, now=NOW)
    manage_factors.remove_totp(world.ada, deps=world.deps, now=NOW)
    assert isinstance(world.log_in(NOW), SignedIn)
    assert world.deps.second_factors.factors(world.ada.user_id).recovery_codes is None


def test_the_secret_is_sealed_for_its_user_and_factor(world: World, tables: Tables) -> None:
    setup = manage_factors.begin_totp(world.ada, deps=world.deps, now=NOW)
    totp = world.deps.second_factors.factors(world.ada.user_id).totp
    assert totp is not None
    assert world.deps.sealer.open(totp.record, world.ada.user_id, totp.id) == setup.secret
    for user_id, factor_id in ((world.ada.session_id, totp.id), (world.ada.user_id, world.ada.user_id)):
        with pytest.raises(UnreadableKey):
            world.deps.sealer.open(totp.record, user_id, factor_id)
    stored = [str(item.serialize()) for item in IdentityItem.query(world.ada.user_id)]
    assert not any(setup.secret in text for text in stored)


def test_a_passkey_signs_in_alone_and_as_the_second_factor(world: World) -> None:
    key = new_key()
    added = world.add_passkey(key)
    assert added.recovery_codes is not None
    assert key.user_handle.decode() == world.ada.user_id
    options = world.options()
    # Nothing in the options names an account or a credential.
    assert options["allowCredentials"] == []
    alone = world.enter(key.sign(options))
    assert isinstance(alone, SignedIn)
    session = world.deps.sessions.session(world.ada.user_id, alone.tokens.refresh_token.session_id)
    assert session is not None
    assert (session.way, session.mfa_at) == ("passkey", NOW)

    ticket = world.ticket(NOW)
    assert isinstance(world.enter(key.sign(world.options()), ticket), SignedIn)
    with pytest.raises(Unauthenticated):
        world.enter(key.sign(world.options()), ticket)
    assert isinstance(world.verify(world.ticket(NOW), NOW, recovery_code=added.recovery_codes[0]), SignedIn)


def test_a_passkeys_answer_is_good_once(world: World) -> None:
    key = new_key(counter=0)
    world.add_passkey(key)
    signed = key.sign(world.options())
    assert isinstance(world.enter(signed), SignedIn)
    with pytest.raises(PasskeyRefused):
        world.enter(signed)
    signed = key.sign(world.options())
    answers = at_once(lambda: world.enter(signed), 4)
    assert sum(isinstance(answer, SignedIn) for answer in answers) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"origin": "https://evil.example.com"}, "origin"),
        ({"origin": f"{PAGE}.evil.example"}, "origin"),
        ({"rp_id": "evil.example.com"}, "InvalidAuthenticationResponse"),
        ({"verifies_user": False}, "InvalidAuthenticationResponse"),
        ({"user_handle": b"nobody"}, "user_handle"),
        ({"user_handle": b"usr_01M7XCN60QZZZZZZZZZZZZZZZZ"}, "unknown_credential"),
        ({"credential_id": b"another"}, "unknown_credential"),
        ({"counter": 1}, "sign_count"),
    ],
    ids=repr,
)
def test_a_passkey_that_is_not_right_is_refused_and_told(world: World, change: dict[str, Any], reason: str) -> None:
    key = new_key(counter=3)
    world.add_passkey(key)
    for name, value in change.items():
        setattr(key, name, value)
    with pytest.raises(PasskeyRefused) as refused:
        world.enter(key.sign(world.options()))
    assert refused.value.message == "The passkey was not accepted."
    assert world.reasons() == [reason]


def test_a_signature_by_another_key_is_refused(world: World) -> None:
    key = new_key()
    world.add_passkey(key)
    forged = new_key(credential_id=key.credential_id, user_handle=key.user_handle, counter=9)
    with pytest.raises(PasskeyRefused):
        world.enter(forged.sign(world.options()))


def test_a_ticket_is_not_completed_by_the_passkey_of_another_account(world: World) -> None:
    world.add_totp()
    eve = world.sign_up("eve@example.com")
    key = new_key()
    options = manage_factors.passkey_options(eve, deps=world.deps, now=NOW)
    manage_factors.add_passkey(eve, key.register(options), "Phone", deps=world.deps, now=NOW)
    with pytest.raises(PasskeyRefused):
        world.enter(key.sign(world.options()), world.ticket(NOW))
    # Nor does one without a user handle, which the ticket would name, belong to the account.
    signed = key.sign(world.options())
    del signed["response"]["userHandle"]
    with pytest.raises(PasskeyRefused):
        world.enter(signed, world.ticket(NOW))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"origin": "https://evil.example.com"}, "origin"),
        ({"rp_id": "evil.example.com"}, "InvalidRegistrationResponse"),
        ({"verifies_user": False}, "InvalidRegistrationResponse"),
    ],
    ids=repr,
)
def test_a_registration_that_is_not_right_is_refused(world: World, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(PasskeyRefused):
        world.add_passkey(new_key(**change))
    assert world.reasons() == [reason]
    assert world.deps.second_factors.factors(world.ada.user_id).passkeys == ()


def test_a_challenge_is_taken_once_in_time_and_for_its_purpose_and_user(world: World) -> None:
    options = manage_factors.passkey_options(world.ada, deps=world.deps, now=NOW)
    eve = world.sign_up("eve@example.com")
    key = new_key()
    for owner, now in ((eve, NOW), (world.ada, NOW)):
        # Eve's try takes the challenge, so that it is no longer Ada's either.
        with pytest.raises(PasskeyRefused):
            manage_factors.add_passkey(owner, key.register(options), "Phone", deps=world.deps, now=now)
    world.add_passkey(key)
    late = world.options()
    with pytest.raises(PasskeyRefused):
        world.enter(key.sign(late), now=NOW + timedelta(minutes=5))
    registering = manage_factors.passkey_options(world.ada, deps=world.deps, now=NOW)
    with pytest.raises(PasskeyRefused):
        world.enter(key.sign(registering))
    assert world.reasons() == ["challenge"] * 4
    with pytest.raises(FactorsChanged):
        world.add_passkey(key)


@pytest.mark.parametrize(
    "credential",
    [{}, {"response": None}, {"response": {"clientDataJSON": "!"}}, {"response": {"clientDataJSON": "W10"}}],
    ids=repr,
)
def test_a_credential_that_is_none_is_refused(world: World, credential: dict[str, Any]) -> None:
    with pytest.raises(PasskeyRefused):
        world.enter(credential)


@pytest.mark.parametrize("part", ["authenticatorData", "signature", "clientDataJSON"])
def test_damaged_bytes_are_refused(world: World, part: str) -> None:
    key = new_key()
    world.add_passkey(key)
    for cut in (0, 1, -1):
        signed = key.sign(world.options())
        signed["response"][part] = signed["response"][part][: cut or None][1 if cut == 0 else 0 :]
        with pytest.raises(PasskeyRefused):
            world.enter(signed)


@pytest.mark.parametrize("value", [None, 7, "", "é", "AA", [], {}], ids=repr)
def test_values_of_other_types_are_refused(world: World, value: Any) -> None:
    key = new_key()
    world.add_passkey(key)
    for name in ("id", "rawId", "type", "response", "authenticatorData", "signature", "clientDataJSON", "userHandle"):
        signed = key.sign(world.options())
        holder = signed if name in signed else signed["response"]
        holder[name] = value
        if name == "userHandle" and value is None:
            # Without a handle nothing names the account.
            del holder[name]
        with pytest.raises(PasskeyRefused):
            world.enter(signed)


def test_passkeys_are_removed_but_for_the_last_way_in(world: World) -> None:
    first, second = world.add_passkey(new_key(), "Phone"), world.add_passkey(new_key(), "Laptop", NOW + STEP)
    assert second.recovery_codes is None
    names = [passkey.name for passkey in world.deps.second_factors.factors(world.ada.user_id).passkeys]
    assert names == ["Phone", "Laptop"]
    forget_password(world)
    answers = at_once(lambda: manage_factors.remove_passkey(world.ada, first.passkey.id, deps=world.deps, now=NOW), 4)
    assert answers.count(None) == 1
    with pytest.raises(LastWayIn):
        manage_factors.remove_passkey(world.ada, second.passkey.id, deps=world.deps, now=NOW)


def forget_password(world: World) -> None:
    """Ada's account from now on has no password: one way in less."""
    from atelier.adapters.aws.dynamodb.identity.items import PROFILE, CredentialsItem, UserItem

    CredentialsItem("email#ada@example.com", "credentials").update([CredentialsItem.password_hash.remove()])
    UserItem(world.ada.user_id, PROFILE).update([UserItem.ways_in.add(-1)])


def test_a_step_up_proves_the_session_again(world: World) -> None:
    def session_times() -> tuple[datetime, datetime | None]:
        session = world.deps.sessions.session(world.ada.user_id, world.ada.session_id)
        assert session is not None
        return session.authenticated_at, session.mfa_at

    def prove(now: datetime, **proof: Any) -> None:
        step_up(world.ada.user_id, world.ada.session_id, Proof(**proof), ORIGIN, deps=world.deps, now=now)

    now = NOW + WINDOW
    with pytest.raises(Unauthenticated):
        prove(now, password="wrong horse battery")
    prove(now, password=PASSWORD)
    assert session_times() == (now, None)

    app, codes = world.add_totp(now)
    assert session_times() == (now, now)
    now += WINDOW
    prove(now, code=app.at(now))
    assert session_times() == (now, now)
    with pytest.raises(Unauthenticated):
        prove(now, code=app.at(now))
    proven_by_password = now + timedelta(minutes=1)
    prove(proven_by_password, password=PASSWORD)
    assert session_times() == (proven_by_password, now)
    now += WINDOW
    prove(now, recovery_code=codes[0])
    assert session_times() == (now, now)
    key = new_key()
    world.add_passkey(key)
    now += WINDOW
    prove(now, credential=key.sign(world.options(now)))
    assert session_times() == (now, now)
    outcomes = [event.outcome for event in world.told.events if event.action == "factor.proven"]
    assert outcomes == ["refused", "refused"]


# ---- rotation of master keys -----------------------------------------------------------------------------------------


def test_authenticators_are_sealed_again_with_a_new_master_key(world: World) -> None:
    app, _ = world.add_totp()
    other = world.sign_up("bob@example.com")
    manage_factors.begin_totp(other, deps=world.deps, now=NOW)
    assert world.reseal() == (0, 0, 0, True)
    world.master.keys = with_new_key(world.master.keys, NOW)
    # A run without time goes on with the next one.
    assert world.reseal(steps=1) == (1, 0, 0, False)
    assert world.reseal() == (1, 0, 0, True)
    assert world.reseal() == (0, 0, 0, True)
    # Nothing needs the old key any more.
    world.master.keys = {**world.master.keys, "keys": world.master.keys["keys"][:1]}
    later = NOW + WINDOW
    assert isinstance(world.verify(world.ticket(later), later, code=app.at(later)), SignedIn)


def test_an_authenticator_that_was_changed_or_spoiled_is_left_alone(world: World) -> None:
    world.add_totp()
    factors = DynamoSecondFactors()
    world.master.keys = with_new_key(world.master.keys, NOW)
    before = factors.totp(world.ada.user_id)
    assert before is not None
    # Another run was faster: its record stays.
    assert world.reseal() == (1, 0, 0, True)
    assert not factors.replace_record(before, before.record)
    after = factors.totp(world.ada.user_id)
    assert after is not None
    assert after.sealed_by == world.master.keys["keys"][0]["kid"]
    # A record of another person, put into this account, opens for nobody.
    spoiled = SealedTotp(after.user_id, after.factor_id, after.record, after.sealed_by)
    assert factors.replace_record(spoiled, VaultSealer(world.vault).seal("A" * 32, "usr_other", after.factor_id))
    world.master.keys = with_new_key(world.master.keys, NOW)
    assert world.reseal() == (0, 0, 1, True)
