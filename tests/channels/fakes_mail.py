"""Mail servers: one that answers, hangs and breaks off as it is told, and a real one that keeps what it is handed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class ScriptedServer:
    """Answers each command by its script: a line, or None to hang, or "" to close the connection."""

    def __init__(self, script: Mapping[str, str | None]) -> None:
        self.script = {"GREETING": "220 hi", "RCPT": "250 2.1.5 ok", "DATA": "354 go", ".": "250 2.0.0 ok", **script}
        self.commands: list[str] = []
        self.mails = 0
        self.connections = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        talks: set[asyncio.Task[None]] = set()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = asyncio.current_task()
            assert own
            talks.add(own)
            self.connections += 1
            try:
                await self._talk(reader, writer)
            except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                pass
            finally:
                talks.discard(own)
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for each in talks:
                each.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        going_on = await self._say("GREETING", writer)
        while going_on and (line := await reader.readline()):
            verb = line.decode().split(" ")[0].strip().upper()
            self.commands.append(verb)
            going_on = await self._say(verb, writer)
            if verb == "DATA" and str(self.script["DATA"]).startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                self.mails += 1
                going_on = await self._say(".", writer)

    async def _say(self, what: str, writer: asyncio.StreamWriter) -> bool:
        said = self.script.get(what, "250 2.1.0 ok")
        if said is None:
            await asyncio.sleep(3600)
        elif said:
            writer.write(f"{said}\r\n".encode())
            await writer.drain()
        return bool(said)


class Postbox:
    """What a real server was handed, and who may hand it over."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 2.0.0 kept as 4711"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, who: Any) -> AuthResult:
        known = isinstance(who, LoginPassword) and (who.login, who.password) == (b"noor", b"open sesame")
        return AuthResult(success=known, handled=False)


@asynccontextmanager
async def real_server(box: Postbox, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    made: list[SMTP] = []

    def serve() -> SMTP:
        made.append(SMTP(box, authenticator=box.authenticate, loop=loop, **options))
        return made[-1]

    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Certificates:
    """A certificate for this machine: what the server shows and what a client trusts."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        since = datetime.now(UTC) - timedelta(days=1)
        made = x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), since, since + timedelta(days=2)
        ).add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        both = folder / "server.pem"
        both.write_bytes(pem + secret)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(both)
        self.client = ssl.create_default_context(cadata=pem.decode())
