"""Signed media URLs, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.adapters.aws.cloudfront import UrlSigner
from atelier.adapters.aws.secrets import Secret
from atelier.adapters.media.keys import media_key, thumbnail_key
from atelier.settings import Deployment, MediaSigning


@cache
def _signer() -> UrlSigner:
    signing = MediaSigning.read()
    return UrlSigner(
        Deployment.read().public_url,
        signing.key_pair_id,
        private_key_pem=lambda: Secret(signing.secret).value()["private_key_pem"],
    )


def signed_url(key: str, now: datetime) -> str:
    """The signed URL of one media key."""
    return _signer().sign(key, now)


def asset_urls(workspace_id: str, sha256: str, format: str, now: datetime) -> tuple[str, str]:
    """The signed URLs of a media file and of its thumbnail."""
    signer = _signer()
    return (
        signer.sign(media_key(workspace_id, sha256, format), now),
        signer.sign(thumbnail_key(workspace_id, sha256), now),
    )


def folder_cookies(folder: str, expires_at: datetime) -> dict[str, str]:
    """The cookies, name → value, that open a folder of the media bucket."""
    return _signer().cookies(folder, expires_at)
