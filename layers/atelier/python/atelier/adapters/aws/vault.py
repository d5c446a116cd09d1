"""The vault of workspaces' provider keys on this deployment's secret and, where it has one, its KMS key."""

from __future__ import annotations

from atelier.adapters.aws.secrets import Secret
from atelier.provider_keys.vault import Vault


def vault_of(secret: str, kms_arn: str) -> Vault:
    """A vault that has cached nothing yet. kms_arn: the KMS key that makes data keys; empty = the master keys of the
    secret encrypt."""
    if not kms_arn:
        return Vault(Secret(secret), None)
    # Imported here, because most deployments have no KMS key.
    from atelier.adapters.aws.kms import KmsDataKeys

    return Vault(Secret(secret), KmsDataKeys(kms_arn))
