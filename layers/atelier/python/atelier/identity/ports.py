"""The ports of identity: stores, password hashes, signing keys and rate counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from atelier.audit_log.model import AuditEvent
    from atelier.identity.access import Access
    from atelier.identity.account_changes import EmailMove, PasswordChange
    from atelier.identity.api_tokens import ApiToken, TokenPage
    from atelier.identity.directory import UserPage, UserRecord
    from atelier.identity.model import Credentials, Session, SignInTicket, User, UserAccount, Workspace
    from atelier.identity.opening import Opening, SignInAccount
    from atelier.identity.pending_link import LinkMail, PendingLink
    from atelier.identity.second_factor import Challenge, Factors, FactorUse, Passkey, RecoveryCodes, Totp, TotpUse
    from atelier.mails.links import Link
    from atelier.mails.mail import MailRequest


class Accounts(Protocol):
    """Users with their credentials, workspaces and memberships."""

    def create(
        self,
        credentials: Credentials,
        user: User,
        workspace: Workspace,
        opening: Opening,
        *,
        verification: LinkMail | None = None,
    ) -> None:
        """Store the credentials, the user, the workspace, the owner's membership, an empty wallet, the first session
        with its device and events, and the mail that verifies the address: all or nothing. Raises EmailTaken.

        The first account of a mailbox claims the mailbox's daily credits for ever: the claim remains when the account
        is deleted. The wallets of later accounts of the mailbox get no daily credits."""
        ...

    def verify(
        self,
        user_id: str,
        mailbox: str,
        at: datetime,
        *,
        link: PendingLink | None = None,
        events: Sequence[AuditEvent] = (),
    ) -> User:
        """Mark a user's e-mail address as verified, give the mailbox's daily credits to the user's wallet, unless
        another verified account has claimed them, and request the welcome mail. Idempotent. Raises NotFound.

        link: what proves it; it is used up in the same transaction. Raises LinkRefused when it was used meanwhile, or
        when the user has another address now."""
        ...

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        """Store the mailbox of an account from before mailboxes were stored, and claim the mailbox's daily credits for
        it unless another account has them. The account's wallet does not change. A failure of the store raises nothing:
        the next log-in repeats the call."""
        ...

    def credentials(self, email: str) -> Credentials | None:
        """The credentials of an e-mail in its normal form, by a consistent read; None without an account."""
        ...

    def replace_password_hash(self, credentials: Credentials, password_hash: str) -> None:
        """Store a stronger hash of the same password. Does nothing when the password has changed since `credentials`
        was read."""
        ...

    def user(self, user_id: str) -> User | None:
        """A user by a consistent read; None if there is none."""
        ...

    def owner_of(self, workspace_id: str) -> User | None:
        """The owner of a workspace; None if there is none."""
        ...

    def user_with_workspace(self, user_id: str, workspace_id: str) -> tuple[User, Workspace]:
        """A user and the user's personal workspace, by a consistent read; raises NotFound."""
        ...

    def account(self, user_id: str, now: datetime) -> UserAccount:
        """A user with the memberships in all workspaces; raises NotFound."""
        ...


class SignIns(Protocol):
    """What the one path of sign-in reads and writes (see `identity/sign_in.py`)."""

    def sign_in_account(self, user_id: str, workspace_id: str, device: str) -> SignInAccount | None:
        """The user with this personal workspace, and whether the device with this digest is known, in one consistent
        read; None without such a user."""
        ...

    def ticket(self, user_id: str, ticket_id: str) -> SignInTicket | None:
        """A ticket that was not used, by a consistent read; it may be expired."""
        ...

    def issue_ticket(self, ticket: SignInTicket, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        """Store a new ticket, and spend another one and a factor with it: all or nothing. Raises Unauthenticated when
        the spent ticket was used, FactorUsed when the factor was."""
        ...

    def open(self, opening: Opening, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        """Store a session with its device, its events and the time of the user's last sign-in, and spend a ticket and a
        factor with it: all or nothing. Raises as `issue_ticket`, and Unauthenticated when the user is no longer
        active."""
        ...


class Profiles(Protocol):
    """What a person says about themselves, and whether their account is to be deleted. Each change is one transaction,
    with its events."""

    def user(self, user_id: str) -> User:
        """A user by a consistent read; raises NotFound."""
        ...

    def save_profile(self, after: User, *, events: Sequence[AuditEvent]) -> None:
        """Store name, avatar, persona, locale and time zone. Raises NotFound."""
        ...

    def request_deletion(
        self, user: User, due_at: datetime, *, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        """Store when the account is due. The user then no longer counts as an owner of organisations. Raises SoleOwner
        when that would leave one with members but without an owner, and Conflict when the deletion was requested
        meanwhile."""
        ...

    def restore(self, user: User, *, events: Sequence[AuditEvent]) -> None:
        """Take back what `request_deletion` stored. Does nothing when that was done already."""
        ...


class PlatformRoles(Protocol):
    """The administrators of the platform. Each change is one transaction, with its events."""

    def administrators(self) -> tuple[str, ...]:
        """The ids of all administrators (consistent read)."""
        ...

    def grant(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        """False, and no change, when the user is an administrator already. Raises NotFound, and Conflict for an
        account that is not active, is to be deleted, or whose address is not verified."""
        ...

    def revoke(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        """False, and no change, when the user is no administrator. Raises NotFound, LastAdministrator."""
        ...


class UserDirectory(Protocol):
    """All users, by address. Each change is one transaction, with its events."""

    def page(self, prefix: str, after: str | None, limit: int) -> UserPage:
        """Users whose address begins with `prefix`, in the order of addresses; a new account may be missing for a
        second. Raises ValidationFailed for a key of another list."""
        ...

    def record(self, user_id: str) -> UserRecord:
        """A user by a consistent read; raises NotFound."""
        ...

    def suspend(
        self, before: UserRecord, reason: str, at: datetime, *, ended: Sequence[Session], events: Sequence[AuditEvent]
    ) -> bool:
        """Suspend an account and end these of its sessions. False, and no change, when it is suspended already. before:
        as it was read before its sessions. Raises NotFound, NotSuspendable, and LostRace when a session was opened or
        ended meanwhile."""
        ...

    def unsuspend(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        """False, and no change, when the account is not suspended. Raises NotFound."""
        ...


class SecondFactors(Protocol):
    """The second factors of accounts, and the challenges of passkeys. Each change is one transaction, with its events.

    A session that is given gets its `authenticated_at` and `mfa_at` stored in the same transaction, since adding a
    factor proves it."""

    def factors(self, user_id: str) -> Factors:
        """All factors of a user, in one consistent read."""
        ...

    def begin_totp(self, user_id: str, totp: Totp) -> None:
        """Store an authenticator that is not confirmed, in place of an earlier one that was not either. Raises
        FactorsChanged when there is a confirmed one."""
        ...

    def confirm_totp(
        self,
        user_id: str,
        use: TotpUse,
        codes: RecoveryCodes,
        session: Session,
        events: Sequence[AuditEvent],
        mail: MailRequest,
    ) -> None:
        """Make the authenticator count, with new recovery codes. Raises FactorsChanged."""
        ...

    def remove_totp(
        self, user_id: str, totp: Totp, *, with_codes: bool, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        """Remove a confirmed authenticator; with_codes: the recovery codes too, since it was the last factor. Raises
        FactorsChanged."""
        ...

    def replace_recovery_codes(self, user_id: str, codes: RecoveryCodes, events: Sequence[AuditEvent]) -> None:
        """Store a new set of codes; no code of the old one is accepted any more."""
        ...

    def add_passkey(
        self,
        user_id: str,
        passkey: Passkey,
        codes: RecoveryCodes | None,
        session: Session,
        events: Sequence[AuditEvent],
        mail: MailRequest,
    ) -> None:
        """Add a passkey, which is one more way in, and recovery codes where it is the first factor. Raises
        TooManyPasskeys, and FactorsChanged for a credential that is stored already."""
        ...

    def remove_passkey(
        self, user_id: str, passkey: Passkey, *, with_codes: bool, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        """Remove a passkey. Raises LastWayIn, FactorsChanged."""
        ...

    def add_challenge(self, challenge: Challenge) -> None: ...

    def take_challenge(self, value: bytes) -> Challenge | None:
        """Delete a challenge and return it; None when there is none, or another request has taken it."""
        ...


class SecretSealer(Protocol):
    """Encrypts the secrets of authenticators. A record is bound to its user and factor, and opens for no other."""

    def seal(self, secret: str, user_id: str, factor_id: str) -> str: ...

    def open(self, record: str, user_id: str, factor_id: str) -> str: ...


class Sessions(Protocol):
    """Sessions with their refresh tokens' digests."""

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session by a consistent read, also when it is revoked or expired; None if there is none."""
        ...

    def rotate(self, before: Session, after: Session) -> bool:
        """Store the session `after` a rotation. False, and no change, when the session was rotated or revoked since
        `before` was read."""
        ...

    def revoke(self, user_id: str, session_id: str, at: datetime, *, events: Sequence[AuditEvent] = ()) -> bool:
        """End a session and its refresh tokens, and write `events` with it. False, and no change, for a revoked session
        or a missing one."""
        ...

    def sessions_of(self, user_id: str) -> tuple[Session, ...]:
        """All stored sessions of a user, newest first; revoked and expired ones too, until they are deleted."""
        ...

    def prove(self, session: Session, *, use: FactorUse | None, events: Sequence[AuditEvent]) -> None:
        """Store the session's `authenticated_at` and `mfa_at`, and spend a factor with it. Raises FactorUsed, and
        Unauthenticated when the session was revoked."""
        ...


class PendingLinks(Protocol):
    """The records of links that were sent by mail, one for each user and purpose."""

    def pending(self, user_id: str, purpose: str) -> PendingLink | None:
        """The record by a consistent read, also when it was used or has expired; None if there is none."""
        ...

    def count_code_try(self, link: Link) -> bool:
        """Count one try of the link's code, exactly. False, and no change, when CODE_TRIES_MAX were counted, or when
        the link was used or replaced."""
        ...

    def replace(self, link_mail: LinkMail) -> None:
        """Store a new link in place of an earlier one of its purpose, and request its mail: both or neither."""
        ...


class AccountChanges(Protocol):
    """Changes of an account's password and address, each with its mails, events and ended sessions in one
    transaction."""

    def change_password(self, change: PasswordChange) -> None:
        """It ends the pending links to another password, another address and another login. Raises LinkRefused when the
        link was used meanwhile, and Conflict when the password or the address was changed."""
        ...

    def move_email(self, move: EmailMove) -> None:
        """Raises EmailTaken when another account has the address, LinkRefused when the link was used meanwhile, and
        Conflict when the password or the address was changed."""
        ...

    def write_decoy(self, email_digest: str, at: datetime) -> None:
        """Write as much as the request for a link does, for an address without an account: the duration of the
        response must not tell which it is."""
        ...


class AccessReads(Protocol):
    """The reads that authorise a request (see `identity/authorize.py`)."""

    def session_access(
        self, user_id: str, session_id: str, workspace_id: str, *, personal: bool, with_user: bool = False
    ) -> Access:
        """The session and the user's role in the workspace, in one consistent read; unless the workspace is the user's
        personal one, also the state of the workspace; with_user: also the user, who has second factors or none."""
        ...

    def token_access(self, user_id: str, workspace_id: str, token_id: str) -> Access:
        """A workspace's API token, its user, the user's role there and the state of the workspace, in one consistent
        read. The role is None when the user is no member or not active."""
        ...


class ApiTokens(Protocol):
    """API tokens by workspace. A revoked token is stored for REVOKED_RETENTION, but not listed."""

    def add_token(self, token: ApiToken, events: Sequence[AuditEvent] = ()) -> None:
        """Store a new token, with its audit events. Raises TokenExists when there is a token with its id, revoked or
        not, and TooManyTokens when the workspace has TOKENS_PER_WORKSPACE_MAX, however many are added at the same
        time."""
        ...

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        """A token by a consistent read, also when it is revoked or expired; None if there is none."""
        ...

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage: ...

    def note_use(self, token: ApiToken, at: datetime) -> None:
        """Store the time of a token's last use. Raises nothing: a failure of this write must not fail the request."""
        ...

    def revoke_token(self, workspace_id: str, token_id: str, at: datetime, events: Sequence[AuditEvent] = ()) -> bool:
        """Revoke a token, with the audit events of it; False when there is none, or when it is revoked already."""
        ...


class Passwords(Protocol):
    """Deliberately slow hashes of passwords."""

    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password matches a hash. Without a hash (None) the result is False after the same amount of
        work."""
        ...

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether a hash was made with other parameters than the current ones."""
        ...


class KeySets(Protocol):
    """The signing keys; `signing.py` describes a key set."""

    def key_set(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """The key set, which may be some minutes old. fresh: read the current one; the source limits how often, because
        a stranger can cause this call with an invalid token."""
        ...


class RateWindows(Protocol):
    """Shared counters of fixed time windows, which start at whole multiples of their length since 1970."""

    def add(self, subject: str, count: int, window_seconds: int, now: datetime) -> int:
        """Add `count` to the current window of a subject; return the sum of that window."""
        ...

    def try_add_one(self, subject: str, limit: int, window_seconds: int, now: datetime) -> bool:
        """Add one to the current window of a subject, exactly. False, and no change, when the window already has
        `limit`."""
        ...
