"""NameServers with dnspython: one question to the configured resolvers, over UDP, and over TCP for a long answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from atelier.deployments.ports import DnsAnswer, DnsOutcome, DnsRecord

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rdata import Rdata
    from dns.resolver import Resolver

# A check asks at most five questions, and a request may take half a minute.
SECONDS_MAX = 4.0
TRY_SECONDS_MAX = 2.0
RECORDS_MAX = 30
KINDS = frozenset({"A", "AAAA", "CNAME", "SOA"})


class DnsResolvers:
    """NameServers on recursive resolvers. addresses: `address` or `address:port` of each. seconds_max: for one
    question, with all repetitions."""

    def __init__(self, addresses: Sequence[str], seconds_max: float = SECONDS_MAX) -> None:
        self._addresses, self._seconds_max = addresses, seconds_max

    def ask(self, name: str, kind: str) -> DnsAnswer:
        import dns.exception
        import dns.resolver

        try:
            found = self._resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            # The chain up to the name that is not there.
            answers = cast("dict[Any, Message]", error.responses())
            records = [each for answer in answers.values() for each in _records(answer)]
            return DnsAnswer(DnsOutcome.NO_SUCH_NAME, tuple(records[:RECORDS_MAX]))
        except dns.exception.DNSException:
            # No answer in time, an error of the server, or an answer that is none.
            return DnsAnswer(DnsOutcome.NO_ANSWER)
        records = tuple(_records(found.response))[:RECORDS_MAX]
        return DnsAnswer(DnsOutcome.FOUND if records else DnsOutcome.NOTHING, records)

    @cached_property
    def _resolver(self) -> Resolver:
        import dns.nameserver
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=False)
        places = [address.partition(":") for address in self._addresses]
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, int(port or 53)) for host, _, port in places]
        resolver.lifetime, resolver.timeout = self._seconds_max, TRY_SECONDS_MAX
        return resolver


def _records(message: Message) -> Iterator[DnsRecord]:
    """The records of an answer, names in lower case and without the dot at their end."""
    import dns.rdatatype

    for group in message.answer:
        kind = dns.rdatatype.to_text(group.rdtype)
        if kind in KINDS:
            for record in cast("Iterable[Rdata]", group):
                value = record.to_text().partition(" ")[0]
                yield DnsRecord(kind, _plain(group.name.to_text()), _plain(value))


def _plain(name: str) -> str:
    return name.rstrip(".").lower()
