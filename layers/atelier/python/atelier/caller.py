"""The verified caller of a request, and the gate that builds it from the authorizer's claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from atelier.dataclass import dataclass
from atelier.identity.authorize import authorize
from atelier.identity.permissions import Role, permits
from atelier.identity.ports import AccessReads
from atelier.identity.scopes import covers

if TYPE_CHECKING:
    from atelier.identity.revocations import RevocationList
    from atelier.identity.step_up import StepUp
    from atelier.ledger.model import Wallet

ReadsT = TypeVar("ReadsT", bound=AccessReads)


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified sender of a request. The gate builds it from the authorizer's context, never from the request
    alone."""

    user_id: str
    workspace_id: str
    role: str
    session_id: str | None = None
    # Only of a program: the id of its API token, and the scopes that restrict the role.
    token_id: str | None = None
    scopes: tuple[str, ...] | None = None
    # On routes that spend credits: the workspace's wallet, and the library's count of its stored bytes, which the gate
    # reads in the same request as the membership.
    wallet: Wallet | None = None
    counted_bytes: int | None = None
    # Whether the session has proven a second factor; known only of a request that changes something.
    has_mfa: bool = False

    def has_permission(self, permission: str) -> bool:
        """Whether the caller has a permission in addition to the one that the route requires."""
        return permits(Role(self.role), permission) and (self.scopes is None or covers(self.scopes, permission))


@dataclass(frozen=True, slots=True)
class CallerGate(Generic[ReadsT]):
    """Authorises callers. reads: opens the reads of sessions, tokens and memberships. fresh_reads: the same for a
    request that changes something; they may read the wallet and the counter of stored bytes along. prefetched: what
    they have read of these, None = they have read none. count_call: counts the calls of a workspace's API tokens, and
    raises QuotaExceeded. revoked: users whose sessions are read at every request; made when it is first needed."""

    reads: Callable[[], ReadsT]
    fresh_reads: Callable[[], ReadsT]
    prefetched: Callable[[ReadsT], tuple[Wallet | None, int | None]]
    count_call: Callable[[str, datetime], None] | None = None
    revoked: Callable[[], RevocationList] | None = None

    def __call__(
        self,
        claims: Mapping[str, Any],
        workspace_id: str | None,
        permission: str,
        *,
        fresh: bool,
        step_up: StepUp = False,
        now: datetime,
    ) -> Caller:
        """The caller, if it has `permission`. Raises what `authorize` raises, and QuotaExceeded."""
        reads = self.fresh_reads() if fresh else self.reads()
        found = authorize(
            claims,
            workspace_id,
            permission,
            fresh=fresh,
            step_up=step_up,
            access_reads=reads,
            revoked=self.revoked,
            now=now,
        )
        if self.count_call is not None and found.token_id is not None:
            self.count_call(found.workspace_id, now)
        return Caller(
            found.user_id,
            found.workspace_id,
            found.role.value,
            found.session_id,
            found.token_id,
            found.scopes,
            *self.prefetched(reads),
            found.has_mfa,
        )
