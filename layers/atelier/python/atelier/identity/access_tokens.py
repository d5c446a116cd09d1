"""Issue and verify access tokens: JWTs in the form of RFC 9068, valid for ten minutes. The newest key of the set signs
them; each key of the set verifies them, without a call to the store.

As little as possible of an unverified token is parsed: its header must be, byte for byte, the header that we write for
one of our keys, and the claims are decoded only after the signature has been verified.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from atelier.dataclass import dataclass
from atelier.errors import Unauthenticated
from atelier.identity.model import ACCESS_TOKEN_LIFETIME, RefreshToken, Session, SessionTokens
from atelier.identity.signing import ALGORITHM, Jwk, from_base64url, is_valid_signature, sign, to_base64url
from atelier.ids import is_id

if TYPE_CHECKING:
    from atelier.identity.ports import KeySets

AUDIENCE = "atelier"
HEADER_TYPE = "at+jwt"
TOKEN_TYPE = "access"  # nosec B105 - the value of a claim
CLOCK_SKEW = timedelta(seconds=30)
TOKEN_LENGTH_MAX = 2048


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of a verified access token. `workspace_id` is the user's personal workspace."""

    user_id: str
    session_id: str
    workspace_id: str
    expires_at: datetime


class AccessTokens:
    """Issues and verifies access tokens. issuer: the deployment's public URL."""

    def __init__(self, key_sets: KeySets, issuer: str) -> None:
        self._key_sets = key_sets
        self._issuer = issuer

    def issue(self, session: Session, refresh_token: RefreshToken, now: datetime) -> SessionTokens:
        """A new access token of a session, together with the given refresh token. It expires with the session at the
        latest."""
        key = self._key_sets.key_set()["keys"][0]
        issued_at = int(now.timestamp())
        expires_at = int(min(now + ACCESS_TOKEN_LIFETIME, session.ends_at).timestamp())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": session.user_id,
            "sid": session.id,
            "wsp": session.workspace_id,
            "typ": TOKEN_TYPE,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": expires_at,
        }
        signing_input = f"{_header(key)}.{_segment(claims)}"
        token = f"{signing_input}.{to_base64url(sign(key, signing_input.encode()))}"
        return SessionTokens(token, expires_at - issued_at, refresh_token)

    def verify(self, token: str, now: datetime) -> AccessClaims:
        """The claims of a token that this deployment signed and that is valid now, with CLOCK_SKEW of tolerance between
        clocks. Raises Unauthenticated."""
        claims = self._verified_claims(token)
        expires_at, not_before = claims.get("exp"), claims.get("nbf")
        user_id, session_id, workspace_id = claims.get("sub"), claims.get("sid"), claims.get("wsp")

        if not (
            claims.get("iss") == self._issuer
            and claims.get("aud") == AUDIENCE
            and claims.get("typ") == TOKEN_TYPE
            and type(expires_at) is int
            and type(not_before) is int
            and isinstance(user_id, str)
            and isinstance(session_id, str)
            and isinstance(workspace_id, str)
            and is_id(user_id, "usr")
            and is_id(session_id, "ses")
            and is_id(workspace_id, "wsp")
        ):
            raise _invalid_token()

        seconds = now.timestamp()
        if seconds >= expires_at + CLOCK_SKEW.total_seconds():
            raise Unauthenticated("The access token has expired.")
        if seconds < not_before - CLOCK_SKEW.total_seconds():
            raise _invalid_token()
        return AccessClaims(user_id, session_id, workspace_id, datetime.fromtimestamp(expires_at, now.tzinfo))

    def _verified_claims(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise _invalid_token()
        signing_input, _, signature = token.rpartition(".")
        head, _, payload = signing_input.partition(".")
        try:
            if not is_valid_signature(self._key(head), signing_input.encode(), from_base64url(signature)):
                raise _invalid_token()
            claims: object = json.loads(from_base64url(payload))
        except ValueError as error:
            raise _invalid_token() from error
        if not isinstance(claims, dict):
            raise _invalid_token()
        return cast(dict[str, Any], claims)

    def _key(self, head: str) -> Jwk:
        for fresh in (False, True):
            # The key may be newer than our copy of the key set, so the set is read once more.
            for key in self._key_sets.key_set(fresh=fresh)["keys"]:
                if head == _header(key):
                    return key
        raise _invalid_token()


def _header(key: Jwk) -> str:
    return _segment({"alg": ALGORITHM, "typ": HEADER_TYPE, "kid": key["kid"]})


def _segment(value: dict[str, Any]) -> str:
    return to_base64url(json.dumps(value, separators=(",", ":")).encode())


def _invalid_token() -> Unauthenticated:
    return Unauthenticated("The access token is not valid.")
