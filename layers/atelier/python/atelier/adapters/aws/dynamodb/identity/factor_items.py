"""The stored form of second factors, and how their use is written into a transaction."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.errors import Unauthenticated
from atelier.identity.model import ticket_refused
from atelier.identity.second_factor import FactorUse, FactorUsed, PasskeyUse, RecoveryCodeUse, TotpUse

FACTORS = "factor#"
TOTP_SK = "factor#totp"
RECOVERY_SK = "factor#recovery"
PASSKEY_PREFIX = "factor#passkey#"
FACTOR_PART = "factor"
TICKET_PART = "ticket"


class _FactorsOfKey(GlobalSecondaryIndex["TotpItem"]):
    class Meta:
        index_name = "sealed-by"
        # Items of this table are read by their kind.
        projection = IncludeProjection(["kind"])

    sealed_by = UnicodeAttribute(hash_key=True)
    pk = UnicodeAttribute(range_key=True)


class TotpItem(IdentityItem, discriminator="totp"):
    """The authenticator. `record` is the sealed secret, in base64; unconfirmed it is replaced by the next set-up.
    sealed_by: the id of the key that sealed it, in hex; missing in an item from before."""

    factor_id = UnicodeAttribute()
    record = UnicodeAttribute()
    created_at = UnicodeAttribute()
    confirmed_at = UnicodeAttribute(null=True)
    last_step = NumberAttribute(null=True)
    sealed_by = UnicodeAttribute(null=True)
    of_key = _FactorsOfKey()


class RecoveryCodesItem(IdentityItem, discriminator="recovery-codes"):
    """The digests of the codes that were not used; missing = none is left."""

    set_id = UnicodeAttribute()
    digests = UnicodeSetAttribute(null=True)
    created_at = UnicodeAttribute()


class PasskeyItem(IdentityItem, discriminator="passkey"):
    """A passkey; the sort key has the SHA-256 of the credential's id, which may be longer than a sort key. Bytes are
    stored in base64."""

    passkey_id = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    credential_id = UnicodeAttribute()
    public_key = UnicodeAttribute()
    sign_count = NumberAttribute()
    name = UnicodeAttribute()
    backed_up = BooleanAttribute()
    created_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute(null=True)


class ChallengeItem(IdentityItem, discriminator="challenge"):
    """A challenge for passkeys; deleted when it is taken, by TTL otherwise."""

    purpose = UnicodeAttribute()
    user_id = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


def save_use(write: Transaction, user_id: str, use: FactorUse | None) -> None:
    """Spend a factor in the transaction of what it proves; the part `factor` fails when it was spent before."""
    if isinstance(use, TotpUse):
        write.update(
            TotpItem(user_id, TOTP_SK),
            [TotpItem.last_step.set(use.step)],
            (TotpItem.factor_id == use.factor_id)
            & (TotpItem.last_step.does_not_exist() | (TotpItem.last_step < use.step)),
            part=FACTOR_PART,
        )
    elif isinstance(use, RecoveryCodeUse):
        write.update(
            RecoveryCodesItem(user_id, RECOVERY_SK),
            [RecoveryCodesItem.digests.delete({use.digest})],
            (RecoveryCodesItem.set_id == use.set_id) & RecoveryCodesItem.digests.contains(use.digest),
            part=FACTOR_PART,
        )
    elif isinstance(use, PasskeyUse):
        write.update(
            PasskeyItem(user_id, PASSKEY_PREFIX + use.credential),
            [PasskeyItem.sign_count.set(use.count_after), PasskeyItem.last_used_at.set(use.at)],
            PasskeyItem.sign_count == use.count_before,
            part=FACTOR_PART,
        )


def refusal_of(error: ConditionsFailed) -> Unauthenticated:
    """The error for a transaction whose ticket, factor, session or user was not as it has to be."""
    if FACTOR_PART in error.parts:
        return FactorUsed()
    if TICKET_PART in error.parts:
        return ticket_refused()
    return Unauthenticated("The session has ended. Log in again.")
