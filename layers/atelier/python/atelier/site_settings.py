"""Settings of deployed sites; see `settings.py`."""

from __future__ import annotations

from atelier.environment import EnvironmentSettings, pairs_in, text_variable


class SitesDomain(EnvironmentSettings):
    """The domain below which our own edge shows sites; empty = it shows none. On a developer's machine it is
    `localhost:<port>`."""

    name: str = text_variable("ATELIER_SITES_DOMAIN", "")

    @property
    def suffix(self) -> str:
        """What follows a site's name in its address."""
        return f".{self.name}" if self.name else ""

    @property
    def scheme(self) -> str:
        """Of the addresses."""
        return "http" if self.name.partition(":")[0] == "localhost" else "https"


class SiteHostUrls(EnvironmentSettings):
    """Base URLs of the hosts that sites are deployed to."""

    raw: str = text_variable("ATELIER_SITE_HOST_URLS", "")

    @property
    def netlify(self) -> str:
        """Of Netlify's API."""
        return pairs_in(self.raw).get("netlify", "https://api.netlify.com/api/v1")

    @property
    def vercel(self) -> str:
        """Of Vercel's API."""
        return pairs_in(self.raw).get("vercel", "https://api.vercel.com")

    @property
    def github(self) -> str:
        """Of GitHub's API."""
        return pairs_in(self.raw).get("github", "https://api.github.com")

    @property
    def sanity(self) -> str:
        """Of a simulator of Sanity's API; empty = each project's own address."""
        return pairs_in(self.raw).get("sanity", "")


class DnsServers(EnvironmentSettings):
    """The resolvers that domains of sites are asked for at: `address` or `address:port`."""

    raw: str = text_variable("ATELIER_DNS_SERVERS", "1.1.1.1,9.9.9.9")

    @property
    def addresses(self) -> list[str]:
        """Each of them."""
        return [address.strip() for address in self.raw.split(",") if address.strip()]
