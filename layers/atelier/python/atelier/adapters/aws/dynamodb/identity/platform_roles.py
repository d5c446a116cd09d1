"""PlatformRoles on DynamoDB.

pk platform  sk admins   the ids of all administrators, in one set: its size keeps the last one

A user's `platform_role` is what requests are authorised by; both change in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.attributes import UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import size  # pyright: ignore[reportUnknownVariableType]

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem
from atelier.audit_log.model import AuditEvent
from atelier.errors import Conflict, NotFound
from atelier.identity.model import PLATFORM_ADMIN, PLATFORM_USER, UserStatus
from atelier.identity.platform_roles import LastAdministrator

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5
PLATFORM, ADMINS = "platform", "admins"


class AdminsItem(IdentityItem, discriminator="platform-admins"):
    user_ids = UnicodeSetAttribute(null=True)


class DynamoPlatformRoles:
    """PlatformRoles on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Transactions also write to the audit table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def administrators(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(AdminsItem.get(PLATFORM, ADMINS, consistent_read=True).user_ids or ()))
        except DoesNotExist:
            return ()

    def grant(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        def write_all(write: Transaction) -> None:
            may_be = (UserItem.status == UserStatus.ACTIVE.value) & UserItem.deletion_due_at.does_not_exist()
            may_be &= (UserItem.email_verified == True) & (UserItem.platform_role != PLATFORM_ADMIN)  # noqa: E712
            write.update(UserItem(user_id, PROFILE), [UserItem.platform_role.set(PLATFORM_ADMIN)], may_be, part="user")
            write.update(AdminsItem(PLATFORM, ADMINS), [AdminsItem.user_ids.add({user_id})])
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if self._role(user_id) == PLATFORM_ADMIN:
                return False
            raise Conflict("An administrator's account must be active, and its e-mail address verified.") from error
        return True

    def revoke(self, user_id: str, *, events: Sequence[AuditEvent]) -> bool:
        def write_all(write: Transaction) -> None:
            is_one = UserItem.platform_role == PLATFORM_ADMIN
            write.update(UserItem(user_id, PROFILE), [UserItem.platform_role.set(PLATFORM_USER)], is_one, part="user")
            others = size("user_ids") > 1
            write.update(AdminsItem(PLATFORM, ADMINS), [AdminsItem.user_ids.delete({user_id})], others, part="others")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if self._role(user_id) != PLATFORM_ADMIN:
                return False
            raise LastAdministrator from error
        return True

    def _role(self, user_id: str) -> str:
        try:
            return UserItem.get(user_id, PROFILE, consistent_read=True).platform_role
        except DoesNotExist as error:
            raise NotFound from error
