"""Reads the CloudFront distribution from infra/edge.yaml, as far as requests notice it; the local edge follows it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.templates import read_template

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


PREFLIGHT_HEADER = "access-control-request-method"


@dataclass(frozen=True, slots=True)
class Cors:
    """What web pages of other origins may do. `origins`: the allowed ones, from the parameter FrontendOrigins."""

    origins: frozenset[str]
    methods: str
    allowed_headers: str
    exposed_headers: str
    max_age_seconds: int

    def _allows(self, origin: str) -> bool:
        any_port = re.sub(r":[0-9]+$", "", origin) + ":*"
        return bool(origin) and bool({origin, any_port} & self.origins)

    def preflight_headers(self, origin: str) -> dict[str, str]:
        """The response headers for a preflight by a page of `origin`."""
        if not self._allows(origin):
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": self.methods,
            "access-control-allow-headers": self.allowed_headers,
            "access-control-max-age": str(self.max_age_seconds),
        }

    def response_headers(self, origin: str) -> dict[str, str]:
        """The response headers for any other request by a page of `origin`."""
        if not self._allows(origin):
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": self.exposed_headers,
        }


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How requests to a path pattern are handled. `origin`: api, studio, media or static. `origin_path`: put before the
    path. `in_bucket`: the origin is a bucket, and not the API. `headers`: set on every response, replacing the
    origin's. `signed`: the URL must be signed. `compress`: whether responses are compressed."""

    pattern: str
    origin: str
    origin_path: str
    in_bucket: bool
    compress: bool
    methods: frozenset[str]
    signed: bool
    headers: Mapping[str, str]
    cors: Cors


@dataclass(frozen=True, slots=True)
class Distribution:
    """The behaviours in the order in which they are matched; the last matches every path. `root_object`: the path,
    without its slash, that a request for `/` means."""

    behaviours: tuple[Behaviour, ...]
    root_object: str

    def behaviour(self, path: str) -> Behaviour:
        """The behaviour for a path (without the query)."""
        return next(each for each in self.behaviours if fnmatch.fnmatchcase(path, each.pattern))


def read_distribution(edge: Path, frontend_origins: str = "") -> Distribution:
    """The distribution that the template at `edge` declares, with its parameter FrontendOrigins."""
    template = read_template(edge)
    frontends = frozenset(frontend_origins.split(","))
    resources = template["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    origins = {each["Id"]: each for each in config["Origins"]}
    declared = [*config.get("CacheBehaviors", []), {"PathPattern": "*", **config["DefaultCacheBehavior"]}]
    return Distribution(
        tuple(
            Behaviour(
                pattern=each["PathPattern"],
                origin=each["TargetOriginId"],
                origin_path=origins[each["TargetOriginId"]].get("OriginPath", ""),
                in_bucket="S3OriginConfig" in origins[each["TargetOriginId"]],
                compress=bool(each.get("Compress")),
                methods=frozenset(each["AllowedMethods"]),
                signed=bool(each.get("TrustedKeyGroups")),
                headers=_headers(_policy(resources, each)),
                cors=_cors(template, _policy(resources, each), frontends),
            )
            for each in declared
        ),
        config["DefaultRootObject"],
    )


def _policy(resources: Mapping[str, Any], behaviour: Mapping[str, Any]) -> Mapping[str, Any]:
    return resources[behaviour["ResponseHeadersPolicyId"]["Ref"]]["Properties"]["ResponseHeadersPolicyConfig"]


def _cors(template: Mapping[str, Any], policy: Mapping[str, Any], frontends: frozenset[str]) -> Cors:
    if "CorsConfig" not in policy:
        return Cors(frozenset(), "", "", "", 0)
    _condition, config, _otherwise = policy["CorsConfig"]["Fn::If"]

    def listed(name: str) -> str:
        items = config[name]["Items"]
        if isinstance(items, dict):
            table, *keys = items["Fn::FindInMap"]
            items = template["Mappings"][table][keys[0]][keys[1]]
        return ", ".join(items)

    return Cors(
        frontends,
        listed("AccessControlAllowMethods"),
        listed("AccessControlAllowHeaders"),
        listed("AccessControlExposeHeaders"),
        config["AccessControlMaxAgeSec"],
    )


def _headers(policy: Mapping[str, Any]) -> dict[str, str]:
    headers = dict(_SECURITY_HEADERS[kind](options) for kind, options in policy["SecurityHeadersConfig"].items())
    for item in policy.get("CustomHeadersConfig", {}).get("Items", []):
        headers[item["Header"]] = item["Value"]
    return headers
