"""What infra/edge.yaml says of the CloudFront distribution, as far as a request can tell: the local edge obeys it."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.templates import read

_SECURITY_HEADERS = {
    "ContentTypeOptions": lambda _: ("x-content-type-options", "nosniff"),
    "FrameOptions": lambda o: ("x-frame-options", o["FrameOption"]),
    "ReferrerPolicy": lambda o: ("referrer-policy", o["ReferrerPolicy"]),
    "ContentSecurityPolicy": lambda o: ("content-security-policy", o["ContentSecurityPolicy"]),
    "StrictTransportSecurity": lambda o: (
        "strict-transport-security",
        f"max-age={o['AccessControlMaxAgeSec']}" + ("; includeSubDomains" if o.get("IncludeSubdomains") else ""),
    ),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to a path. `origin`: api or media. `headers` are set on every answer, in place of the origin's."""

    pattern: str
    origin: str
    methods: frozenset[str]
    signed: bool
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The behaviours in the order in which they are tried; the last takes every path."""

    behaviours: tuple[Behaviour, ...]
    start_page: str

    def behaviour(self, path: str) -> Behaviour:
        """The behaviour for a path (without the query)."""
        return next(each for each in self.behaviours if fnmatch.fnmatchcase(path, each.pattern))


def read_distribution(edge: Path) -> Distribution:
    """The distribution that the template at `edge` declares."""
    template = read(edge)
    resources = template["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    declared = [*config.get("CacheBehaviors", []), {"PathPattern": "*", **config["DefaultCacheBehavior"]}]
    return Distribution(
        tuple(
            Behaviour(
                pattern=each["PathPattern"],
                origin=each["TargetOriginId"],
                methods=frozenset(each["AllowedMethods"]),
                signed=bool(each.get("TrustedKeyGroups")),
                headers=_headers(resources, each["ResponseHeadersPolicyId"]),
            )
            for each in declared
        ),
        template["Mappings"]["StartPage"]["Page"]["Html"],
    )


def _headers(resources: Mapping[str, Any], reference: Mapping[str, str]) -> dict[str, str]:
    policy = resources[reference["Ref"]]["Properties"]["ResponseHeadersPolicyConfig"]
    headers = dict(_SECURITY_HEADERS[kind](options) for kind, options in policy["SecurityHeadersConfig"].items())
    for item in policy.get("CustomHeadersConfig", {}).get("Items", []):
        headers[item["Header"]] = item["Value"]
    return headers
