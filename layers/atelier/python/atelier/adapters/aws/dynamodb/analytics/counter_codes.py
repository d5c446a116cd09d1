"""Short names of counters in stored items, because each byte of an item is billed with every change of it. A code is
never given to another counter."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.analytics.sketch import PREFIX as BUCKET

_CODES: Mapping[str, str] = {
    # of generations
    "requests": "r",
    "succeeded": "s",
    "failed": "f",
    "cancelled": "c",
    "expired": "x",
    "reused": "u",
    "refused": "n",
    "prompts_refused": "np",
    "fallbacks": "k",
    "stages": "g",
    "stages_succeeded": "gs",
    "credits": "cr",
    "stage_credits": "gc",
    "tokens_input": "ti",
    "tokens_output": "to",
    "tokens_cached": "tc",
    "media_ms": "m",
    "pixels": "p",
    "attempts": "a",
    "attempts_succeeded": "as",
    "cost_provider_microusd": "cp",
    "cost_usage_microusd": "cu",
    "cost_estimate_microusd": "ce",
    "own_key_attempts": "oa",
    "own_key_cost_microusd": "oc",
    "estimated_microusd": "es",
    "estimated_actual_microusd": "ea",
    "duration_ms": "d",
    "durations": "dn",
    # of the wallet
    "granted_daily": "gd",
    "granted_monthly": "gm",
    "granted_purchase": "gp",
    "granted_promo": "go",
    "granted_refund": "gr",
    "granted_admin": "ga",
    "granted_transfer": "gt",
    "spent": "sp",
    "revoked": "rv",
    "adjusted_down": "ad",
    "transferred": "tr",
    "operator_loss": "ol",
}
_NAMES = {code: name for name, code in _CODES.items()}
# Counters of which there is one for each bucket or error class.
_PREFIXES = ((BUCKET, "b"), ("failed_", "f."), ("attempts_failed_", "a."))


def code(counter: str) -> str:
    """The stored name of a counter."""
    if counter in _CODES:
        return _CODES[counter]
    for prefix, short in _PREFIXES:
        if counter.startswith(prefix):
            return short + counter.removeprefix(prefix)
    raise KeyError(counter)


def counter(stored: str) -> str:
    """The inverse of `code`."""
    if stored in _NAMES:
        return _NAMES[stored]
    for prefix, short in _PREFIXES:
        if stored.startswith(short):
            return prefix + stored.removeprefix(short)
    raise KeyError(stored)
