"""A loopback server that may send any bytes, and a self-signed certificate for it: for tests of clients' limits."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Serve = Callable[[socket.socket, threading.Event], None]


@contextmanager
def raw_server(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A loopback server. It reads a request, then calls `serve` with the socket and an event that is set when the
    server stops. Yields the server's address (host:port) and the heads of the received requests."""
    heads: list[bytes] = []
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def run() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        try:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as talking:
                talking.settimeout(5)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += talking.recv(4096)
                head, _, body = head.partition(b"\r\n\r\n")
                announced = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                # Closing the socket with unread bytes would reset the connection, and the client would lose the answer.
                while announced and len(body) < int(announced[1]):
                    body += talking.recv(65536)
                heads.append(head + b"\r\n\r\n")
                serve(talking, stop)
        except OSError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        stop.set()
        thread.join()
        listener.close()


def respond_with(head: str, body: bytes = b"") -> Serve:
    return lambda connection, _: connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)


def respond_ok(body: bytes) -> Serve:
    return respond_with(f"HTTP/1.1 200 OK\nContent-Length: {len(body)}\n", body)


def self_signed(folder: Path, *names: str) -> Path:
    """Writes a PEM file with a private key and a self-signed certificate for these host names; returns its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
