"""Every page of Studio by name, with its path; `{…}` are ids of the things that a test has made."""

from __future__ import annotations

from collections.abc import Mapping

PAGES: Mapping[str, str] = {
    "welcome": "/welcome",
    "sign_in": "/sign-in",
    "sign_up": "/sign-up",
    "create": "/create",
    "generation": "/generations/{generation}",
    "credits": "/credits",
    "credits_why": "/credits/generations/{generation}",
    "credits_proof": "/credits/proof",
    "tokens": "/tokens",
}
