"""OAuth transactions, codes and tickets on DynamoDB. TTL deletes them after their end, some time later.

pk oauth#<digest of the state>            sk transaction
pk oauth#<digest of the code or ticket>   sk proof
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CompactJSON, conditional
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem, update_if
from atelier.clock import parse_rfc3339, rfc3339
from atelier.identity.oauth.model import Binding, ExternalLogin, LoginProof, OAuthTransaction

TRANSACTION = "transaction"
PROOF = "proof"


class OAuthTransactionItem(IdentityItem, discriminator="oauth-transaction"):
    provider = UnicodeAttribute()
    redirect_to = UnicodeAttribute()
    browser = UnicodeAttribute()
    challenge = UnicodeAttribute(null=True)
    user_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    used_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class LoginProofItem(IdentityItem, discriminator="login-proof"):
    login = CompactJSON()
    browser = UnicodeAttribute()
    challenge = UnicodeAttribute(null=True)
    user_id = UnicodeAttribute(null=True)
    ends_at = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoOAuthRecords:
    """OAuthRecords on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def add_transaction(self, transaction: OAuthTransaction) -> None:
        OAuthTransactionItem(
            record_pk(transaction.state_digest),
            TRANSACTION,
            provider=transaction.provider,
            redirect_to=transaction.redirect_to,
            browser=transaction.binding.browser,
            challenge=transaction.binding.challenge,
            user_id=transaction.user_id,
            created_at=rfc3339(transaction.created_at),
            expires_at_seconds=int(transaction.expires_at.timestamp()),
        ).save(condition=OAuthTransactionItem.pk.does_not_exist())

    def transaction(self, state_digest: str) -> OAuthTransaction | None:
        try:
            item = OAuthTransactionItem.get(record_pk(state_digest), TRANSACTION, consistent_read=True)
        except DoesNotExist:
            return None
        return OAuthTransaction(
            state_digest,
            item.provider,
            item.redirect_to,
            Binding(item.browser, item.challenge),
            parse_rfc3339(item.created_at),
            item.user_id,
            parse_rfc3339(item.used_at) if item.used_at else None,
        )

    def use_transaction(self, transaction: OAuthTransaction, at: datetime) -> bool:
        return update_if(
            OAuthTransactionItem(record_pk(transaction.state_digest), TRANSACTION),
            [OAuthTransactionItem.used_at.set(rfc3339(at))],
            OAuthTransactionItem.pk.exists() & OAuthTransactionItem.used_at.does_not_exist(),
        )

    def add_proof(self, proof: LoginProof) -> None:
        login = proof.login
        LoginProofItem(
            record_pk(proof.digest),
            PROOF,
            login={
                "provider": login.provider,
                "issuer": login.issuer,
                "subject": login.subject,
                "email": login.email,
                "email_verified": login.email_verified,
                "name": login.name,
                "label": login.label,
            },
            browser=proof.binding.browser,
            challenge=proof.binding.challenge,
            user_id=proof.user_id,
            ends_at=rfc3339(proof.expires_at),
            expires_at_seconds=int(proof.expires_at.timestamp()),
        ).save(condition=LoginProofItem.pk.does_not_exist())

    def proof(self, digest: str) -> LoginProof | None:
        try:
            item = LoginProofItem.get(record_pk(digest), PROOF, consistent_read=True)
        except DoesNotExist:
            return None
        return LoginProof(
            digest,
            ExternalLogin(**item.login),
            Binding(item.browser, item.challenge),
            parse_rfc3339(item.ends_at),
            item.user_id,
        )

    def take_proof(self, proof: LoginProof) -> bool:
        item = LoginProofItem(record_pk(proof.digest), PROOF)
        return conditional(lambda: item.delete(condition=LoginProofItem.pk.exists()))


def record_pk(digest: str) -> str:
    return f"oauth#{digest}"
