"""A device in words, and by what it is known again."""

from __future__ import annotations

import pytest

from atelier.identity.device import device_digest, device_words, network_of
from atelier.identity.model import Device

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Linux"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 OPR/120.0", "Opera on Windows"),
        (f"{IPHONE} Version/19.1 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/19.1 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.14.1", "curl"),
        ("python-requests/2.32.3", "Python"),
        ("", "an unknown device"),
        ("é" * 300, "an unknown device"),
    ],
)
def test_a_user_agent_is_told_in_words(user_agent: str, words: str) -> None:
    assert device_words(user_agent) == words


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("", ""),
        ("no.address.at.all", "no.address.at.all"),
    ],
)
def test_an_address_is_shortened_to_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_another_version_is_the_same_device_and_another_network_is_not() -> None:
    old, new = (Device(f"{WINDOWS} Chrome/{version}.0 Safari/537.36", "203.0.113.7") for version in (139, 140))
    assert device_digest(old) == device_digest(new)
    assert device_digest(old) != device_digest(Device(old.user_agent, "198.51.100.7"))
