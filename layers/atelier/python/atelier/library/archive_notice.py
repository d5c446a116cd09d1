"""Tell the owner of a workspace by mail which archived assets will be deleted, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.clock import rfc3339
from atelier.identity.model import User
from atelier.library.clean_archived import CleanUpNotice
from atelier.mails.mail import MailKind, mail_request
from atelier.mails.ports import Mails
from atelier.telemetry import logger


def request_notice_mail(
    workspace_id: str,
    notice: CleanUpNotice,
    *,
    owner_of: Callable[[str], User | None],
    mails: Mails,
    now: datetime,
) -> None:
    """Request the mail of a notice, once. Nobody is told where there is no owner any more."""
    owner = owner_of(workspace_id)
    if owner is not None:
        mails.request(
            mail_request(
                MailKind.ARCHIVE_NOTICE,
                workspace_id,
                owner.email,
                owner.locale,
                now,
                id=f"archive#{rfc3339(notice.due_at)}",
                count=notice.count,
                megabytes=max(1, notice.size_bytes // 1_000_000),
                due_at=f"{notice.due_at:%Y-%m-%d}",
                archived_until=f"{notice.archived_until:%Y-%m-%d}",
            )
        )
    logger.info("archive notice", workspace_id=workspace_id, count=notice.count, is_sent=owner is not None)
