"""SecondFactors on DynamoDB.

    pk usr_…  sk factor#totp             the authenticator, with its sealed secret
    pk usr_…  sk factor#recovery         the digests of the recovery codes
    pk usr_…  sk factor#passkey#<digest> a passkey
    pk challenge#<digest>  sk challenge  a challenge that was not taken

Index `sealed-by` (sealed_by, pk): the authenticators that a rotation of master keys still has to reseal.

The user's item says which factors there are (`totp`, `passkeys`) and how many ways in (`ways_in`), so that a sign-in
and a step-up read nothing more.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, conditional, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.factor_items import (
    FACTORS,
    PASSKEY_PREFIX,
    RECOVERY_SK,
    TOTP_SK,
    ChallengeItem,
    PasskeyItem,
    RecoveryCodesItem,
    TotpItem,
)
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem, update_if
from atelier.adapters.aws.dynamodb.identity.sessions import update_proof
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import AtelierError
from atelier.identity.model import Session
from atelier.identity.second_factor import (
    PASSKEYS_MAX,
    Challenge,
    ChallengePurpose,
    Factors,
    FactorsChanged,
    LastWayIn,
    Passkey,
    RecoveryCodes,
    TooManyPasskeys,
    Totp,
    TotpUse,
)
from atelier.mails.mail import MailRequest
from atelier.provider_keys.envelope import unpack
from atelier.provider_keys.reseal_factors import SealedTotp

BUSY = "The second factors are busy just now. Try again."
CHALLENGE_SK = "challenge"
TRIES_MAX = 5
PAGE = 100


class DynamoSecondFactors:
    """SecondFactors on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Its transactions also write to the audit table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def factors(self, user_id: str) -> Factors:
        found = list(IdentityItem.query(user_id, IdentityItem.sk.startswith(FACTORS), consistent_read=True))
        totp = next((_totp(item) for item in found if isinstance(item, TotpItem)), None)
        codes = next((_codes(item) for item in found if isinstance(item, RecoveryCodesItem)), None)
        passkeys = [_passkey(item) for item in found if isinstance(item, PasskeyItem)]
        return Factors(totp, codes, tuple(sorted(passkeys, key=lambda passkey: passkey.id)))

    def begin_totp(self, user_id: str, totp: Totp) -> None:
        item = TotpItem(
            user_id,
            TOTP_SK,
            factor_id=totp.id,
            record=totp.record,
            created_at=rfc3339(totp.created_at),
            sealed_by=sealed_by(totp.record),
        )
        if not conditional(lambda: item.save(condition=TotpItem.confirmed_at.does_not_exist())):
            raise FactorsChanged

    def list_sealed_by(self, kid: str) -> Iterator[str]:
        for item in TotpItem.of_key.query(kid, page_size=PAGE):
            yield item.pk

    def totp(self, user_id: str) -> SealedTotp | None:
        try:
            item = TotpItem.get(user_id, TOTP_SK, consistent_read=True)
        except DoesNotExist:
            return None
        return SealedTotp(user_id, item.factor_id, item.record, item.sealed_by)

    def replace_record(self, before: SealedTotp, record: str) -> bool:
        return update_if(
            TotpItem(before.user_id, TOTP_SK),
            [TotpItem.record.set(record), TotpItem.sealed_by.set(sealed_by(record))],
            TotpItem.record == before.record,
        )

    def confirm_totp(
        self,
        user_id: str,
        use: TotpUse,
        codes: RecoveryCodes,
        session: Session,
        events: Sequence[AuditEvent],
        mail: MailRequest,
    ) -> None:
        def add_writes(write: Transaction) -> None:
            write.update(
                TotpItem(user_id, TOTP_SK),
                [TotpItem.confirmed_at.set(rfc3339(codes.created_at)), TotpItem.last_step.set(use.step)],
                (TotpItem.factor_id == use.factor_id) & TotpItem.confirmed_at.does_not_exist(),
                part="totp",
            )
            user_exists = UserItem.pk.exists()
            write.update(UserItem(user_id, PROFILE), [UserItem.totp.set(use.factor_id)], user_exists, part="user")
            write.save(_codes_item(user_id, codes))
            update_proof(write, session)
            save_events(write, events)

        _write(add_writes)

    def remove_totp(
        self, user_id: str, totp: Totp, *, with_codes: bool, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        def add_writes(write: Transaction) -> None:
            write.delete(TotpItem(user_id, TOTP_SK), TotpItem.factor_id == totp.id, part="totp")
            mine = UserItem.totp == totp.id
            write.update(UserItem(user_id, PROFILE), [UserItem.totp.remove()], mine, part="user")
            if with_codes:
                write.delete(RecoveryCodesItem(user_id, RECOVERY_SK))
            save_events(write, events)

        _write(add_writes)

    def replace_recovery_codes(self, user_id: str, codes: RecoveryCodes, events: Sequence[AuditEvent]) -> None:
        def add_writes(write: Transaction) -> None:
            write.save(_codes_item(user_id, codes))
            has_factor = UserItem.totp.exists() | (UserItem.passkeys > 0)
            write.check(UserItem, user_id, PROFILE, has_factor, part="user")
            save_events(write, events)

        _write(add_writes)

    def add_passkey(
        self,
        user_id: str,
        passkey: Passkey,
        codes: RecoveryCodes | None,
        session: Session,
        events: Sequence[AuditEvent],
        mail: MailRequest,
    ) -> None:
        def add_writes(write: Transaction) -> None:
            write.save(_passkey_item(user_id, passkey), PasskeyItem.pk.does_not_exist(), part="passkey")
            write.update(
                UserItem(user_id, PROFILE),
                [UserItem.passkeys.add(1), UserItem.ways_in.set((UserItem.ways_in | 1) + 1)],
                UserItem.pk.exists() & (UserItem.passkeys.does_not_exist() | (UserItem.passkeys < PASSKEYS_MAX)),
                part="number",
            )
            if codes is not None:
                write.save(_codes_item(user_id, codes))
            update_proof(write, session)
            save_events(write, events)

        _write(add_writes, {"number": TooManyPasskeys})

    def remove_passkey(
        self, user_id: str, passkey: Passkey, *, with_codes: bool, events: Sequence[AuditEvent], mail: MailRequest
    ) -> None:
        def add_writes(write: Transaction) -> None:
            item = PasskeyItem(user_id, PASSKEY_PREFIX + passkey.credential)
            write.delete(item, PasskeyItem.passkey_id == passkey.id, part="passkey")
            write.update(
                UserItem(user_id, PROFILE),
                [UserItem.passkeys.add(-1), UserItem.ways_in.add(-1)],
                UserItem.ways_in > 1,
                part="ways in",
            )
            if with_codes:
                write.delete(RecoveryCodesItem(user_id, RECOVERY_SK))
            save_events(write, events)

        _write(add_writes, {"ways in": LastWayIn})

    def add_challenge(self, challenge: Challenge) -> None:
        ChallengeItem(
            _challenge_pk(challenge.value),
            CHALLENGE_SK,
            purpose=challenge.purpose.value,
            user_id=challenge.user_id,
            expires_at_seconds=int(challenge.expires_at.timestamp()),
        ).save()

    def take_challenge(self, value: bytes) -> Challenge | None:
        try:
            item = ChallengeItem.get(_challenge_pk(value), CHALLENGE_SK, consistent_read=True)
        except DoesNotExist:
            return None
        if not conditional(lambda: item.delete(condition=ChallengeItem.pk.exists())):
            return None
        expires_at = datetime.fromtimestamp(int(item.expires_at_seconds), UTC)
        return Challenge(value, ChallengePurpose(item.purpose), item.user_id, expires_at)


def sealed_by(record: str) -> str:
    """The id of the key that sealed a record, in hex."""
    return unpack(base64.b64decode(record)).kid.hex()


def _write(
    add_writes: Callable[[Transaction], None], reasons: Mapping[str, Callable[[], AtelierError]] | None = None
) -> None:
    try:
        write_transaction(add_writes, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise next(
            (reasons[part]() for part in error.parts if reasons and part in reasons), FactorsChanged()
        ) from error


def _challenge_pk(value: bytes) -> str:
    return f"challenge#{hashlib.sha256(value).hexdigest()}"


def _totp(item: TotpItem) -> Totp:
    return Totp(
        item.factor_id,
        item.record,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.confirmed_at) if item.confirmed_at else None,
        int(item.last_step) if item.last_step else None,
    )


def _codes(item: RecoveryCodesItem) -> RecoveryCodes:
    return RecoveryCodes(item.set_id, frozenset(item.digests or ()), parse_rfc3339(item.created_at))


def _codes_item(user_id: str, codes: RecoveryCodes) -> RecoveryCodesItem:
    return RecoveryCodesItem(
        user_id, RECOVERY_SK, set_id=codes.set_id, digests=set(codes.digests), created_at=rfc3339(codes.created_at)
    )


def _passkey(item: PasskeyItem) -> Passkey:
    return Passkey(
        item.passkey_id,
        item.workspace_id,
        item.sk.removeprefix(PASSKEY_PREFIX),
        base64.b64decode(item.credential_id),
        base64.b64decode(item.public_key),
        int(item.sign_count),
        item.name,
        item.backed_up,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.last_used_at) if item.last_used_at else None,
    )


def _passkey_item(user_id: str, passkey: Passkey) -> PasskeyItem:
    return PasskeyItem(
        user_id,
        PASSKEY_PREFIX + passkey.credential,
        passkey_id=passkey.id,
        workspace_id=passkey.workspace_id,
        credential_id=base64.b64encode(passkey.credential_id).decode(),
        public_key=base64.b64encode(passkey.public_key).decode(),
        sign_count=passkey.sign_count,
        name=passkey.name,
        backed_up=passkey.backed_up,
        created_at=rfc3339(passkey.created_at),
    )
