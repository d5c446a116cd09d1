"""What is written when a session opens, and what is read before."""

from __future__ import annotations

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.identity.model import Session, User, Workspace
from atelier.mails.mail import MailRequest


@dataclass(frozen=True, slots=True)
class Opening:
    """A session with everything that is written in its transaction. device: the digest by which its device is known
    from now on; empty = none. mail: that tells of a new device. email: of the account."""

    session: Session
    device: str = ""
    events: tuple[AuditEvent, ...] = ()
    mail: MailRequest | None = None
    email: str = ""


@dataclass(frozen=True, slots=True)
class SignInAccount:
    """What a sign-in needs to know of an account, read together."""

    user: User
    workspace: Workspace
    device_known: bool
