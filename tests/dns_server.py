"""A name server on loopback, which answers what a test tells it; it follows its own CNAMEs as a resolver does."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

CHAIN_MAX = 12


class DnsServer:
    """Names have no dot at their end. records: (name, type) → values. silent: names that get no answer; broken: those
    whose answer is no DNS message; failing: those whose zone fails. asked: each question, in order."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.silent, self.broken, self.failing = set[str](), set[str](), set[str]()
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def add(self, name: str, kind: str, *values: str) -> None:
        """Add records of a name."""
        self.records.setdefault((name, kind), []).extend(values)

    def add_zone(self, name: str) -> None:
        """Let a zone begin at a name."""
        self.add(name, "SOA", "ns.example. hostmaster.example. 1 3600 600 86400 300")

    def _serve(self) -> None:
        while data := self._socket.recvfrom(4096):
            body, sender = data
            if not body:
                return
            answer = self._answer(dns.message.from_wire(body))
            if answer is not None:
                self._socket.sendto(answer, sender)

    def _answer(self, query: dns.message.Message) -> bytes | None:
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        if name in self.broken:
            return query.to_wire()[:12]
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer.to_wire()
        for _ in range(CHAIN_MAX):
            alias = self.records.get((name, "CNAME"))
            if not alias:
                break
            answer.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "CNAME", alias[0] + "."))
            name = alias[0]
        values = self.records.get((name, kind))
        if values:
            answer.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *values))
        elif all(known != name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()
