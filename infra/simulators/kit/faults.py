"""Faults on request: what the markers in a prompt ask for."""

from __future__ import annotations

import re
import time
from email.utils import formatdate

METADATA_URL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
ENDLESS_BYTES = 512 * 1024 * 1024

# What every provider may do wrong → the marker that makes its simulator do so.
COMMON_FAULTS = {
    "wrong key": "create:401",
    "too many requests": "create:429",
    "out of service": "create:503",
    "model gone": "create:404",
    "answer lost": "create:lost",
    "answer never ends": "create:hang",
    "answer is no JSON": "create:garbage",
    "gateway's 502": "create:502",
}


def markers_in(prompt: object, name: str) -> list[str]:
    """The markers in double brackets that are for all simulators, or for the one called `name`."""
    found: list[tuple[str, str]] = re.findall(r"\[\[(?:([a-z]+)/)?([a-z0-9:=._-]+)\]\]", str(prompt))
    return [marker for whose, marker in found if whose in ("", name)]


def options_of(markers: list[str], kind: str) -> list[str]:
    """The markers of a kind, without their prefix: `["lost"]` for `webhook:lost`."""
    return [marker.removeprefix(f"{kind}:") for marker in markers if marker.startswith(f"{kind}:")]


def number_option(markers: list[str], kind: str, name: str, otherwise: float) -> float:
    """The number in the marker `kind:name=NUMBER`; `otherwise` when there is no such marker."""
    values = [option.removeprefix(f"{name}=") for option in options_of(markers, kind) if option.startswith(f"{name}=")]
    return float(values[0]) if values else otherwise


def http_date_in(seconds: float) -> str:
    """The time in so many seconds, as an HTTP date."""
    return formatdate(time.time() + seconds, usegmt=True)
