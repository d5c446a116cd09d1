"""Faults on request: what the markers in a prompt ask for, and the outcome that each must have in the product."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from infra.simulators.kit.messages import Response

METADATA_URL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
ENDLESS_BYTES = 512 * 1024 * 1024

# A response, or what makes it at the moment when it is sent.
Answer = Response | Callable[[], Response]
# The outcome of a request whose answer does not say whether the work was done: the product's `Unknown`.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Refusal:
    """A creation that the provider refuses before any work begins, and what its documentation says about it. `answer`:
    the response, or a function that returns it. `error_class`: a value of the product's `ErrorClass`, which simulators
    do not import. `retry_after_seconds`: the wait that the answer asks for. `row`: its row in FALLBACKS.md, for one
    refusal of each sort that all providers have."""

    answer: Answer
    error_class: str
    retry_after_seconds: int | None = None
    row: str | None = None


@dataclass(frozen=True)
class Fault:
    """What goes wrong after work has begun. `error_class`: as in `Refusal`, or UNKNOWN. `is_billed`: whether the
    outcome has a usage or a cost; None = that differs from kind to kind. `kinds`: the kinds of work that it can happen
    to; None = all. `row`: as in `Refusal`."""

    error_class: str
    is_billed: bool | None = False
    kinds: frozenset[str] | None = None
    row: str | None = None

    def can_happen_to(self, kind: str) -> bool:
        return self.kinds is None or kind in self.kinds


# Answers of no use to a creation, by the marker that asks for them; every provider can give them.
LOST_ANSWERS = {
    "create:lost": Fault(UNKNOWN, row="answer lost"),
    "create:hang": Fault(UNKNOWN, row="answer never ends"),
    "create:garbage": Fault(UNKNOWN, row="answer is no JSON"),
    "create:empty": Fault(UNKNOWN, row="answer holds nothing"),
    "create:500": Fault(UNKNOWN),
    "create:502": Fault(UNKNOWN, row="gateway's 502"),
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
