"""Identity under parallel callers, on the emulator: every race is decided by a condition in a write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import botocore.session
import pytest

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.identity.api_tokens import DynamoApiTokens
from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions
from atelier.adapters.aws.dynamodb.identity.sign_ins import DynamoSignIns
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.audit_log.model import Origin
from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.api_tokens import TOKENS_PER_WORKSPACE_MAX, ApiToken, TokenText, TooManyTokens, new_token
from atelier.identity.issue_token import IssuedToken, NewToken, issue_token
from atelier.identity.log_out import log_out
from atelier.identity.model import Device, EmailTaken, SessionTokens, SignedIn
from atelier.identity.permissions import Role
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.refresh import refresh
from atelier.identity.sign_in import SignInDeps
from atelier.identity.sign_up import SignUp, sign_up
from atelier.ids import new_id
from tests.embedded_aws import Tables
from tests.unit.identity.fakes import ISSUER, FakeKeySets, FastPasswords

NOW = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
CALLERS = 8
ROUNDS = 5
ResultT = TypeVar("ResultT")


class Deployed:
    """Identity on the emulator's tables, with a fast password hash."""

    def __init__(self, tables: Tables) -> None:
        DynamoAccounts.bind(tables.identity)
        DynamoWallets.bind(tables.ledger)
        audit_log.bind(tables.audit)
        DynamoRequestRates.bind(tables.requests)
        self.accounts, self.sessions, self.api_tokens = DynamoAccounts(), DynamoSessions(), DynamoApiTokens()
        self.windows = DynamoRequestRates()
        self.access_tokens = AccessTokens(FakeKeySets(), ISSUER)
        self.sign_in = SignInDeps(DynamoSignIns(), audit_log.DynamoAuditLog(), self.access_tokens)

    def sign_up(self, email: str, key: str | None = None) -> SignedIn:
        command = SignUp(email, "correct horse battery", "Ada", Device("", ""), key)
        result = sign_up(
            command,
            accounts=self.accounts,
            passwords=FastPasswords(),
            limits=SignInLimits(self.windows, 1000, 1000, 1000),
            deps=self.sign_in,
            now=NOW,
        )
        assert isinstance(result, SignedIn)
        return result

    def refresh(self, token: str, now: datetime = NOW) -> SessionTokens:
        return refresh(
            token, Origin(address="203.0.113.9"), sessions=self.sessions, access_tokens=self.access_tokens, now=now
        )


@pytest.fixture
def deployed(tables: Tables) -> Deployed:
    return Deployed(tables)


def at_once(act: Callable[[], ResultT], callers: int = CALLERS) -> list[ResultT | Exception]:
    """Runs `act` in parallel threads from one barrier; returns what each returned or raised."""
    barrier = threading.Barrier(callers)

    def call(_number: int) -> ResultT | Exception:
        barrier.wait(timeout=30)
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def items(aws: botocore.session.Session, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.create_client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    return found


def test_sign_ups_with_one_email_at_once_make_one_user(
    deployed: Deployed, aws: botocore.session.Session, tables: Tables
) -> None:
    for number in range(ROUNDS):
        answers = at_once(lambda email=f"ada{number}@example.com": deployed.sign_up(email))
        assert sum(isinstance(answer, SignedIn) for answer in answers) == 1
        assert sum(isinstance(answer, EmailTaken) for answer in answers) == CALLERS - 1
    kinds = [item["kind"]["S"] for item in items(aws, tables.identity)]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("credentials", "mailbox", "user", "workspace", "membership", "session", "device", "mail", "pending-link"),
        ROUNDS,
    )
    assert len(items(aws, tables.ledger)) == ROUNDS


def test_parallel_sign_ups_with_one_key_create_one_user_and_all_succeed(
    deployed: Deployed, aws: botocore.session.Session, tables: Tables
) -> None:
    answers = at_once(lambda: deployed.sign_up("ada@example.com", "sign-up-1"))
    signed_in = [answer for answer in answers if isinstance(answer, SignedIn)]
    assert len(signed_in) == CALLERS
    assert len({answer.user.id for answer in signed_in}) == 1
    assert sorted(answer.replayed for answer in signed_in) == [False] + [True] * (CALLERS - 1)
    assert len(items(aws, tables.ledger)) == 1


def test_refreshes_with_one_token_at_once_get_the_same_successor(deployed: Deployed) -> None:
    token = str(deployed.sign_up("ada@example.com").tokens.refresh_token)
    for _ in range(ROUNDS):
        answers = at_once(lambda token=token: deployed.refresh(token))
        successors = {str(answer.refresh_token) for answer in answers if isinstance(answer, SessionTokens)}
        assert [answer for answer in answers if not isinstance(answer, SessionTokens)] == []
        assert len(successors) == 1
        token = successors.pop()


def test_a_refresh_that_races_a_log_out_does_not_bring_the_session_back(deployed: Deployed) -> None:
    for number in range(ROUNDS):
        token = str(deployed.sign_up(f"ada{number}@example.com").tokens.refresh_token)
        turns = iter([deployed.refresh, None] * (CALLERS // 2))

        def act(token: str = token, turns: Any = turns) -> SessionTokens | None:
            if next(turns):
                return deployed.refresh(token)
            log_out(token, None, sessions=deployed.sessions, access_tokens=deployed.access_tokens, now=NOW)
            return None

        answers = at_once(act)
        assert all(answer is None or isinstance(answer, (SessionTokens, Unauthenticated)) for answer in answers)
        for answer in answers:
            if isinstance(answer, SessionTokens):
                with pytest.raises(Unauthenticated):
                    deployed.refresh(str(answer.refresh_token))


def test_reuse_of_a_rotated_token_after_the_grace_period_ends_the_session(deployed: Deployed) -> None:
    stolen = str(deployed.sign_up("ada@example.com").tokens.refresh_token)
    owner = str(deployed.refresh(stolen).refresh_token)
    late = NOW + timedelta(seconds=11)
    answers = at_once(lambda: deployed.refresh(stolen, late))
    assert all(isinstance(answer, Unauthenticated) for answer in answers)
    with pytest.raises(Unauthenticated):
        deployed.refresh(owner, late)
    # However many clients send it: the log says once that the session ended so, and from where the token came.
    user_id = stolen.partition(".")[0]
    events = list(audit_log.AuditEventItem.query(user_id, consistent_read=True))
    assert [event.action for event in events if event.outcome == "refused"] == ["session.token_reused"]


def test_a_rate_limit_is_exact_under_parallel_calls(deployed: Deployed) -> None:
    for number in range(ROUNDS):
        taken = at_once(
            lambda subject=f"sign-in#{number}": [deployed.windows.try_add_one(subject, 5, 300, NOW) for _ in range(2)]
        )
        assert sum(sum(pair) for pair in taken if isinstance(pair, list)) == 5


def test_parallel_additions_to_a_rate_window_are_all_counted(deployed: Deployed) -> None:
    sums = at_once(lambda: deployed.windows.add("account#usr_1", 20, 60, NOW))
    assert sorted(total for total in sums if isinstance(total, int)) == [20 * turn for turn in range(1, CALLERS + 1)]


def test_parallel_token_creations_stop_exactly_at_the_workspaces_maximum(deployed: Deployed) -> None:
    workspace_id, user_id, places = new_id("wsp", NOW), new_id("usr", NOW), 3

    def one() -> ApiToken:
        made, _ = new_token(new_id("tok", NOW), workspace_id, user_id, "n8n", ("all",), NOW + timedelta(days=1), NOW)
        deployed.api_tokens.add_token(made)
        return made

    first = [one() for _ in range(TOKENS_PER_WORKSPACE_MAX - places)]
    outcomes = at_once(one, CALLERS)
    assert sum(isinstance(outcome, ApiToken) for outcome in outcomes) == places
    assert sum(isinstance(outcome, TooManyTokens) for outcome in outcomes) == CALLERS - places
    # Parallel revocations of one token make room for one token.
    revoked = at_once(lambda: deployed.api_tokens.revoke_token(workspace_id, first[0].id, NOW))
    assert sorted(map(bool, revoked)) == [False] * (CALLERS - 1) + [True]
    assert sum(isinstance(outcome, ApiToken) for outcome in at_once(one)) == 1


def test_parallel_token_requests_with_one_key_create_and_show_one_token(deployed: Deployed, tables: Tables) -> None:
    workspace_id, user_id = new_id("wsp", NOW), new_id("usr", NOW)
    DynamoIdempotencyKeys.bind(tables.requests)
    new = NewToken(workspace_id, user_id, Role.OWNER, "n8n", ("all",), None, "once")
    answers = at_once(
        lambda: issue_token(
            new,
            tokens=deployed.api_tokens,
            idempotency_keys=DynamoIdempotencyKeys(),
            origin=Origin(),
            now=NOW,
        )
    )
    issued = [answer for answer in answers if isinstance(answer, IssuedToken)]
    assert len(issued) == CALLERS
    assert len({answer.token.id for answer in issued}) == 1
    [text] = [answer.text for answer in issued if answer.text is not None]
    [kept] = deployed.api_tokens.tokens(workspace_id, None, 10).tokens
    assert TokenText.parse(text).matches(kept)
