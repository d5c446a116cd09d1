"""Identity's ports in memory. tests/contracts runs the same tests on them as on the real adapters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent
from atelier.errors import IdempotencyMismatch, NotFound, Unauthenticated
from atelier.identity.access import Access, WorkspaceState
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.account_changes import EmailMove, PasswordChange
from atelier.identity.api_tokens import TOKENS_PER_WORKSPACE_MAX, ApiToken, TokenExists, TokenPage, TooManyTokens
from atelier.identity.mail_limits import MailLimits
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import (
    Credentials,
    EmailTaken,
    Membership,
    Session,
    SignInTicket,
    User,
    UserAccount,
    UserStatus,
    Workspace,
    ticket_refused,
)
from atelier.identity.opening import Opening, SignInAccount
from atelier.identity.pending_link import CODE_TRIES_MAX, LinkMail, LinkRefused, PendingLink
from atelier.identity.permissions import Role
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.second_factor import FactorUse
from atelier.identity.sign_in import SignInDeps
from atelier.identity.signing import new_key_set
from atelier.ledger.model import MailboxState
from atelier.mails.links import Link, LinkKey
from atelier.mails.mail import MailKind, MailRequest, mail_request

ISSUER = "https://media.example.com"


class InMemoryIdentity:
    """Accounts, Sessions, PendingLinks, ApiTokens and AccessReads."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.roles: dict[tuple[str, str], Role] = {}
        # Workspaces that are deleted, or that require a second factor.
        self.states: dict[str, WorkspaceState] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.api_tokens: dict[tuple[str, str], ApiToken] = {}
        self.events: list[AuditEvent] = []
        # Workspace → the state of the owner's mailbox, as its wallet stores it.
        self.wallets: dict[str, MailboxState] = {}
        # Mailbox → the workspace that gets its daily credits, and whether that account is verified.
        self.claims: dict[str, tuple[str, bool]] = {}
        self.last_login_at: dict[str, datetime] = {}
        self.devices: set[tuple[str, str]] = set()
        self.tickets: dict[tuple[str, str], SignInTicket] = {}
        # The last link of a user and a purpose that was sent, and all mails that were requested.
        self.links: dict[tuple[str, str], PendingLink] = {}
        self.mails: list[MailRequest] = []
        self.decoys: list[str] = []
        self.reads = 0
        self._credentials: dict[str, Credentials] = {}

    def create(
        self,
        credentials: Credentials,
        user: User,
        workspace: Workspace,
        opening: Opening,
        *,
        verification: LinkMail | None = None,
    ) -> None:
        if credentials.email in self._credentials:
            raise EmailTaken
        self._credentials[credentials.email] = credentials
        self.users[user.id] = user
        self.workspaces[workspace.id] = workspace
        self.roles[user.id, workspace.id] = Role.OWNER
        self.wallets[workspace.id] = self._claim(credentials.mailbox, workspace.id)
        self._save_opening(opening)
        if verification:
            self.replace(verification)

    def replace(self, link_mail: LinkMail) -> None:
        link = link_mail.pending.link
        self.links[link.owner_id, link.purpose] = link_mail.pending
        self.mails.append(link_mail.mail)

    def pending(self, user_id: str, purpose: str) -> PendingLink | None:
        return self.links.get((user_id, purpose))

    def count_code_try(self, link: Link) -> bool:
        known = self.links[link.owner_id, link.purpose]
        if known.link != link or known.code_tries >= CODE_TRIES_MAX or known.used_at:
            return False
        self.links[link.owner_id, link.purpose] = replace(known, code_tries=known.code_tries + 1)
        return True

    def _use(self, link: PendingLink, at: datetime) -> None:
        known = self.links[link.link.owner_id, link.link.purpose]
        if known.link != link.link or not known.is_open(at):
            raise LinkRefused("token")
        self.links[link.link.owner_id, link.link.purpose] = replace(known, used_at=at)

    def _claim(self, mailbox: str | None, workspace_id: str) -> MailboxState:
        if mailbox is None:
            return MailboxState.ELIGIBLE
        if mailbox in self.claims:
            return MailboxState.SHARED
        self.claims[mailbox] = workspace_id, False
        return MailboxState.UNVERIFIED

    def verify(
        self,
        user_id: str,
        mailbox: str,
        at: datetime,
        *,
        link: PendingLink | None = None,
        events: Sequence[AuditEvent] = (),
    ) -> User:
        if user_id not in self.users:
            raise NotFound
        user = self.users[user_id]
        if link and link.email != user.email:
            raise LinkRefused("token")
        if user.email_verified_at is None:
            if link:
                self._use(link, at)
            self.events += events
            self.mails.append(mail_request(MailKind.WELCOME, user.id, user.email, user.locale, at, name=user.name))
            workspace_id, is_verified = self.claims.get(mailbox, (user.workspace_id, False))
            if not is_verified:
                self.wallets[workspace_id] = MailboxState.SHARED
                self.claims[mailbox] = user.workspace_id, True
            self.wallets[user.workspace_id] = MailboxState.SHARED if is_verified else MailboxState.ELIGIBLE
            self.users[user_id] = replace(user, email_verified=True, email_verified_at=at)
        return self.users[user_id]

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        self.claims.setdefault(mailbox, (credentials.workspace_id, False))
        self._credentials[credentials.email] = replace(self._credentials[credentials.email], mailbox=mailbox)

    def credentials(self, email: str) -> Credentials | None:
        return self._credentials.get(email)

    def replace_password_hash(self, credentials: Credentials, password_hash: str) -> None:
        known = self._credentials[credentials.email]
        if known.password_hash == credentials.password_hash:
            self._credentials[known.email] = replace(known, password_hash=password_hash)

    def set_password_hash(self, email: str, password_hash: str | None) -> None:
        """What a test asks for: an account whose password is another one, or that has none."""
        self._credentials[email] = replace(self._credentials[email], password_hash=password_hash)

    def user(self, user_id: str) -> User | None:
        self.reads += 1
        return self.users.get(user_id)

    def owner_of(self, workspace_id: str) -> User | None:
        workspace = self.workspaces.get(workspace_id)
        return self.users.get(workspace.owner_id) if workspace else None

    def change_password(self, change: PasswordChange) -> None:
        if change.link:
            self._use(change.link, change.at)
        email = change.credentials.email
        self._credentials[email] = replace(change.credentials, password_hash=change.password_hash)
        self._finish(change)

    def move_email(self, move: EmailMove) -> None:
        email = move.link.email
        if email in self._credentials:
            raise EmailTaken
        self._use(move.link, move.at)
        del self._credentials[move.credentials.email]
        self._credentials[email] = replace(move.credentials, email=email)
        self.users[move.user.id] = replace(move.user, email=email, email_verified=True, email_verified_at=move.at)
        if move.follow_up:
            self.replace(move.follow_up)
        self._finish(move)

    def _finish(self, change: PasswordChange | EmailMove) -> None:
        for session in change.ended:
            self.revoke(session.user_id, session.id, change.at)
        self.mails += change.mails
        self.events += change.events

    def write_decoy(self, email_digest: str, at: datetime) -> None:
        self.decoys.append(email_digest)

    def user_with_workspace(self, user_id: str, workspace_id: str) -> tuple[User, Workspace]:
        if user_id not in self.users or workspace_id not in self.workspaces:
            raise NotFound
        return self.users[user_id], self.workspaces[workspace_id]

    def account(self, user_id: str, now: datetime) -> UserAccount:
        if user_id not in self.users:
            raise NotFound
        mine = sorted((workspace_id, role) for (member, workspace_id), role in self.roles.items() if member == user_id)
        user = self.users[user_id]
        memberships = tuple(Membership(self.workspaces[workspace_id], role) for workspace_id, role in mine)
        return UserAccount(user, memberships, self.workspaces[user.workspace_id].tier)

    def sign_in_account(self, user_id: str, workspace_id: str, device: str) -> SignInAccount | None:
        self.reads += 1
        if user_id not in self.users or workspace_id not in self.workspaces:
            return None
        return SignInAccount(self.users[user_id], self.workspaces[workspace_id], (user_id, device) in self.devices)

    def ticket(self, user_id: str, ticket_id: str) -> SignInTicket | None:
        return self.tickets.get((user_id, ticket_id))

    def issue_ticket(self, ticket: SignInTicket, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        self._spend(spent)
        self.tickets[ticket.user_id, ticket.id] = replace(ticket, secret=None)

    def open(self, opening: Opening, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        session = opening.session
        if self.users[session.user_id].status is not UserStatus.ACTIVE:
            raise Unauthenticated("The session has ended. Log in again.")
        self._spend(spent)
        self._save_opening(opening)
        self.last_login_at[session.user_id] = session.created_at

    def append(self, *events: AuditEvent) -> None:
        self.events.extend(events)

    def _save_opening(self, opening: Opening) -> None:
        session = opening.session
        self.sessions[session.user_id, session.id] = session
        if opening.device:
            self.devices.add((session.user_id, opening.device))
        self.append(*opening.events)

    def _spend(self, ticket: SignInTicket | None) -> None:
        if ticket is not None and self.tickets.pop((ticket.user_id, ticket.id), None) is None:
            raise ticket_refused()

    def session(self, user_id: str, session_id: str) -> Session | None:
        return self.sessions.get((user_id, session_id))

    def rotate(self, before: Session, after: Session) -> bool:
        known = self.sessions[before.user_id, before.id]
        if known.digest != before.digest or known.revoked_at is not None:
            return False
        self.sessions[after.user_id, after.id] = after
        return True

    def revoke(self, user_id: str, session_id: str, at: datetime, *, events: Sequence[AuditEvent] = ()) -> bool:
        known = self.session(user_id, session_id)
        if known is None or known.revoked_at is not None:
            return False
        self.sessions[user_id, session_id] = replace(known, revoked_at=at)
        self.append(*events)
        return True

    def sessions_of(self, user_id: str) -> tuple[Session, ...]:
        found = [session for (owner, _), session in self.sessions.items() if owner == user_id]
        return tuple(sorted(found, key=lambda session: session.id, reverse=True))

    def prove(self, session: Session, *, use: FactorUse | None, events: Sequence[AuditEvent]) -> None:
        known = self.session(session.user_id, session.id)
        if known is None or known.revoked_at is not None:
            raise Unauthenticated("The session has ended. Log in again.")
        self.sessions[session.user_id, session.id] = session
        self.append(*events)

    def session_access(
        self, user_id: str, session_id: str, workspace_id: str, *, personal: bool, with_user: bool = False
    ) -> Access:
        self.reads += 1
        return Access(
            role=self.roles.get((user_id, workspace_id)),
            session=self.session(user_id, session_id),
            workspace=None if personal else self._state(workspace_id),
            user=self.users.get(user_id) if with_user else None,
        )

    def token_access(self, user_id: str, workspace_id: str, token_id: str) -> Access:
        user = self.users.get(user_id)
        is_active = user is not None and user.status is UserStatus.ACTIVE
        return Access(
            role=self.roles.get((user_id, workspace_id)) if is_active else None,
            token=self.token(workspace_id, token_id),
            workspace=self._state(workspace_id),
            user=user,
        )

    def _state(self, workspace_id: str) -> WorkspaceState | None:
        if workspace_id not in self.workspaces:
            return None
        return self.states.get(workspace_id, WorkspaceState())

    def add_token(self, token: ApiToken, events: Sequence[AuditEvent] = ()) -> None:
        if (token.workspace_id, token.id) in self.api_tokens:
            raise TokenExists
        if len(self._active_tokens(token.workspace_id)) >= TOKENS_PER_WORKSPACE_MAX:
            raise TooManyTokens
        self.api_tokens[token.workspace_id, token.id] = token
        self.events += events

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        self.reads += 1
        return self.api_tokens.get((workspace_id, token_id))

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage:
        living = [token for token in self._active_tokens(workspace_id) if after is None or f"token#{token.id}" < after]
        page = tuple(living[:limit])
        return TokenPage(page, f"token#{page[-1].id}" if len(living) > limit else None)

    def note_use(self, token: ApiToken, at: datetime) -> None:
        known = self.token(token.workspace_id, token.id)
        if known is not None and known.revoked_at is None:
            self.api_tokens[known.workspace_id, known.id] = replace(known, last_used_at=at)

    def revoke_token(self, workspace_id: str, token_id: str, at: datetime, events: Sequence[AuditEvent] = ()) -> bool:
        known = self.token(workspace_id, token_id)
        if known is None or known.revoked_at is not None:
            return False
        self.api_tokens[workspace_id, token_id] = replace(known, revoked_at=at)
        self.events += events
        return True

    def _active_tokens(self, workspace_id: str) -> list[ApiToken]:
        found = [token for token in self.api_tokens.values() if token.workspace_id == workspace_id]
        return sorted((token for token in found if token.revoked_at is None), key=lambda token: token.id, reverse=True)


class FastPasswords:
    """Passwords without slow hashing; `work` counts how often a real one would have hashed."""

    def __init__(self, parameters: str = "today") -> None:
        self.parameters = parameters
        self.work = 0

    def hash(self, password: str) -> str:
        self.work += 1
        return f"{self.parameters}:{password}"

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.work += 1
        return password_hash is not None and password_hash.partition(":")[2] == password

    def needs_rehash(self, password_hash: str) -> bool:
        return password_hash.partition(":")[0] != self.parameters


class InMemoryRateWindows:
    """RateWindows in memory; `writes` counts the writes that AWS would bill."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self.writes = 0

    def add(self, subject: str, count: int, window_seconds: int, now: datetime) -> int:
        self.writes += 1
        window = subject, int(now.timestamp()) // window_seconds
        self.counts[window] += count
        return self.counts[window]

    def try_add_one(self, subject: str, limit: int, window_seconds: int, now: datetime) -> bool:
        if self.counts[subject, int(now.timestamp()) // window_seconds] >= limit:
            return False
        self.add(subject, 1, window_seconds, now)
        return True


class InMemoryIdempotencyKeys:
    """IdempotencyKeys in memory."""

    def __init__(self) -> None:
        self.bound: dict[tuple[str, str], tuple[str, str]] = {}

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        known, reserved_id = self.bound.setdefault((workspace_id, key), (fingerprint, new_id))
        if known != fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request.")
        return reserved_id


class FakeKeySets:
    """KeySets: `current` is the secret's present value, `remembered` the value that this process has cached."""

    def __init__(self) -> None:
        self.current: Mapping[str, Any] = new_key_set()
        self.remembered = self.current
        self.fresh_reads = 0

    def key_set(self, *, fresh: bool = False) -> Mapping[str, Any]:
        if fresh:
            self.fresh_reads += 1
            self.remembered = self.current
        return self.remembered


class IdentityFakes:
    """All fakes of identity together, as the composition root would compose the real adapters."""

    def __init__(self, per_account: int = 10, per_address: int = 30, sign_ups_per_address: int = 20) -> None:
        self.store = InMemoryIdentity()
        self.passwords = FastPasswords()
        self.windows = InMemoryRateWindows()
        self.keys = FakeKeySets()
        self.limits = SignInLimits(self.windows, per_account, per_address, sign_ups_per_address)
        self.access_tokens = AccessTokens(self.keys, ISSUER)
        self.link_key = LinkKey(b"the key of the links, for tests.")

    @property
    def mailbox_deps(self) -> MailboxDeps:
        return MailboxDeps(
            self.store,
            self.store,
            self.store,
            self.store,
            self.passwords,
            self.link_key,
            MailLimits(self.windows),
            self.access_tokens,
            lambda user_id: (),
        )

    @property
    def sign_in_ports(self) -> dict[str, Any]:
        return {
            "accounts": self.store,
            "passwords": self.passwords,
            "limits": self.limits,
            "deps": SignInDeps(self.store, self.store, self.access_tokens),
        }

    @property
    def session_ports(self) -> dict[str, Any]:
        return {"sessions": self.store, "access_tokens": self.access_tokens}
