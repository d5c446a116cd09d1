"""A device in words: the browser and the system that its User-Agent header names, and the network of its address."""

from __future__ import annotations

import hashlib

from atelier.audit_log.model import Origin
from atelier.identity.model import Device
from atelier.identity.rate_limit import address_block

# The first word that a User-Agent contains names its browser or system, so special ones stand before those that they
# pretend to be: every browser says "Mozilla", Edge says "Chrome" too, and Chrome says "Safari".
BROWSERS = (
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
    ("Python", "Python"),
    ("node", "Node.js"),
    ("okhttp/", "an Android app"),
    ("CFNetwork/", "an Apple app"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
UNKNOWN_DEVICE = "an unknown device"


def device_of(origin: Origin) -> Device:
    """The device that a request came from."""
    return Device(origin.user_agent, origin.address)


def device_words(user_agent: str) -> str:
    """Such as "Firefox on Windows"; only the browser, or only the system, when the other is not known."""
    found = [next((name for mark, name in names if mark in user_agent), "") for names in (BROWSERS, SYSTEMS)]
    return " on ".join(filter(None, found)) or UNKNOWN_DEVICE


def network_of(address: str) -> str:
    """The block of addresses around an address: the /24 of an IPv4 address, such as `203.0.113.0/24`, or the /48 of an
    IPv6 address. Text that is no address is returned unchanged."""
    parts = address.split(".")
    # Without the module `ipaddress`, whose import takes time in a cold start; only a socket's own text comes this far.
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        return f"{'.'.join(parts[:3])}.0/24"
    return address_block(address)


def device_digest(device: Device) -> str:
    """By which a device is known again: the SHA-256, in hex, of its words and its network. A new version of a browser
    is the same device; another network is another one, since stolen credentials are used from elsewhere."""
    return hashlib.sha256(f"{device_words(device.user_agent)}\n{network_of(device.address)}".encode()).hexdigest()
