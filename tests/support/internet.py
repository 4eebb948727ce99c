"""The internet, on loopback: a proxy behind which every https host is answered by a script.

    with Internet(answer, folder) as internet:
        subprocess.run(..., env={**os.environ, **internet.environment})

A program in that environment needs no other change: it asks `https://api.example.com/...` as always, its requests come to
the proxy over TLS with a certificate that it was told to trust, and `answer` decides. Nothing leaves the machine.
"""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.http_server import QuietHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request; header names in lower case, `path` without the query, `body` None where it is no JSON."""

    method: str
    host: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    raw: bytes = field(repr=False)

    @property
    def key(self) -> str | None:
        """The credential that came along, whichever scheme a provider uses."""
        value = self.headers.get("authorization") or self.headers.get("x-key")
        return value.rpartition(" ")[2] if value else None


@dataclass(frozen=True)
class Reply:
    """`body` as bytes is sent as it is; a list is sent as events of a stream; anything else as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str | None = None

    @property
    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, list) and self.media_type == "text/event-stream":
            events = [one if isinstance(one, str) else json.dumps(one) for one in self.body]
            return "".join(f"data: {event}\n\n" for event in events).encode()
        return json.dumps(self.body).encode()


class Internet:
    """Answers every host with `answer` while its `with` block is open; plain http on its own address, too."""

    def __init__(self, answer: Callable[[Asked], Reply], folder: Path) -> None:
        self.asked: list[Asked] = []
        self._answer = answer
        self._folder = folder
        self._authority = Authority(folder)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._server = QuietHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        proxies = {"HTTPS_PROXY": self.address, "NO_PROXY": ""}  # no host of anybody's settings is left out
        lower = {name.lower(): value for name, value in proxies.items()}
        return {**proxies, **lower, "SSL_CERT_FILE": str(self._authority.certificate)}

    def __enter__(self) -> Internet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._authority.issue(host))
            self._contexts[host] = context
        return self._contexts[host]

    def _handler(internet) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            host = "127.0.0.1"

            def log_message(self, *_: Any) -> None:
                """Quiet: pytest shows what matters."""

            def do_CONNECT(self) -> None:
                self.host = self.path.partition(":")[0]
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.connection = internet._context(self.host).wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False

            def _answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    body = json.loads(data) if data else None
                except ValueError:
                    body = None
                headers = {name.lower(): value for name, value in self.headers.items()}
                url = urlsplit(self.path)
                asked = Asked(self.command, self.host, url.path, url.query, headers, body, data)
                internet.asked.append(asked)
                reply = internet._answer(asked)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                media_type = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
                self.send_header("content-type", reply.media_type or media_type)
                self.send_header("content-length", str(len(reply.payload)))
                self.end_headers()
                self.wfile.write(reply.payload)

            do_GET = do_POST = do_PUT = do_HEAD = _answer

        return Handler


class Authority:
    """Issues certificates that only those who were given `certificate` trust; strict readers (RFC 5280) take them, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests of tiny-agents")])
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        others = dict.fromkeys([*names, "encipher_only", "decipher_only"], False)
        certificate = self._signed(
            self._name,
            self._key,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **others), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
        )
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, host: str) -> Path:
        """A file with a certificate for `host`, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(
            x509.Name([]),
            key,
            (x509.SubjectAlternativeName([x509.DNSName(host)]), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        )
        path = self._folder / f"{host}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]
    ) -> x509.Certificate:
        """A certificate for `key`; each extension with whether it is critical."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=2),
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())
