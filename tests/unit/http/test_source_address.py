"""Whose header is trusted for the viewer's address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from atelier.http.request import source_address
from atelier.settings import EdgeKey

GATEWAY = {"requestContext": {"http": {"sourceIp": "198.51.100.1"}}}
NAMED = {"atelier-viewer-address": "203.0.113.9", "x-forwarded-for": "192.0.2.5, 203.0.113.9"}


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ATELIER_EDGE_KEY_DIGEST", hashlib.sha256(b"edge").hexdigest())
    EdgeKey.read.cache_clear()
    yield
    EdgeKey.read.cache_clear()


def test_the_viewers_address_is_taken_from_the_edge() -> None:
    assert source_address(GATEWAY, {**NAMED, "atelier-edge-key": "edge"}) == "203.0.113.9"


@pytest.mark.parametrize("key", [{}, {"atelier-edge-key": ""}, {"atelier-edge-key": "guess"}])
def test_a_direct_caller_cannot_set_the_viewers_address(key: dict[str, str]) -> None:
    assert source_address(GATEWAY, {**NAMED, **key}) == "198.51.100.1"


def test_an_edge_without_a_viewer_leaves_the_gateways_address() -> None:
    assert source_address(GATEWAY, {"x-forwarded-for": "1.2.3.4", "atelier-edge-key": "edge"}) == "198.51.100.1"
