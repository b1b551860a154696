"""Sealing, keyed hashes and random secrets. Knows keys and bytes, nothing of what they mean."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class BadKeys(ValueError):
    """HUB_KEYS cannot be read."""


class CannotOpen(ValueError):
    """Sealed bytes are damaged, sealed for another place, or by a key that is not here."""


class Keys:
    """The installation's secret keys: the first one seals and signs, every one opens."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise BadKeys("HUB_KEYS is empty: give at least one id:base64 of 32 random bytes")
        self._keys = keys
        self._newest = next(iter(keys))
        self._seals = {name.encode(): AESGCM(self._derive(key, "seal")) for name, key in keys.items()}
        self._signing: dict[str, dict[str, bytes]] = {}
        self._hashing: dict[str, list[bytes]] = {}

    @classmethod
    def parse(cls, text: str) -> Keys:
        """Read `id:base64[,id:base64…]`; raises BadKeys naming the entry that is wrong."""
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not name or len(name) > 16 or len(key) != KEY_BYTES:
                raise BadKeys(f"HUB_KEYS entry {name!r} must be id:base64 of {KEY_BYTES} bytes")
            if name in keys:
                raise BadKeys(f"HUB_KEYS names {name!r} twice")
            keys[name] = key
        return cls(keys)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """AES-256-GCM with the newest key; `place` is bound to it, so it opens nowhere else."""
        name = self._newest.encode()
        nonce = os.urandom(NONCE_BYTES)
        return bytes([len(name)]) + name + nonce + self._seals[name].encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes, start: int = 0) -> bytes:
        """The plain bytes of what `seal` made for this `place`, from `start` on; raises CannotOpen."""
        try:
            nonce = start + 1 + sealed[start]
            rest = nonce + NONCE_BYTES
            return self._seals[sealed[start + 1 : nonce]].decrypt(sealed[nonce:rest], sealed[rest:], place)
        except (IndexError, KeyError, InvalidTag, ValueError) as error:
            raise CannotOpen("sealed bytes cannot be opened") from error

    def signing_keys(self, purpose: str) -> dict[str, bytes]:
        """A key for signing per key id, newest first, usable for nothing but `purpose`."""
        if purpose not in self._signing:
            self._signing[purpose] = {name: self._derive(key, f"sign:{purpose}") for name, key in self._keys.items()}
        return self._signing[purpose]

    def keyed_hash(self, purpose: str, text: str) -> bytes:
        """A hash of `text` that cannot be guessed at without the key: equality without the value."""
        return self.keyed_hashes(purpose, text)[0]

    def keyed_hashes(self, purpose: str, text: str) -> list[bytes]:
        """The hashes of `text` by every key, newest first: what was stored under an older key is still found."""
        if purpose not in self._hashing:
            self._hashing[purpose] = [self._derive(key, f"hash:{purpose}") for key in self._keys.values()]
        return [hmac.digest(key, text.encode(), "sha256") for key in self._hashing[purpose]]

    @staticmethod
    def _derive(key: bytes, purpose: str) -> bytes:
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"hub:{purpose}".encode()).derive(key)


def new_secret() -> str:
    """A random secret of 256 bits, safe in a header, cookie or address."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """What is stored of a random secret; it has too many bits to be guessed, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
