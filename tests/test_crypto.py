"""Sealing, keyed hashes and secrets."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto import BadKeys, CannotOpen, Keys, hash_secret, new_secret

OLD, NEW = bytes(32), bytes(range(32))
KEYS = Keys({"new": NEW, "old": OLD})
PLACE = b"patients|phone|7"


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: bytes) -> None:
    sealed = KEYS.seal(plain, place)
    assert KEYS.open(sealed, place) == plain
    assert plain not in sealed or len(plain) < 4


def test_the_same_words_sealed_twice_look_different() -> None:
    assert KEYS.seal(b"Sara", PLACE) != KEYS.seal(b"Sara", PLACE)


def test_what_is_sealed_opens_nowhere_else() -> None:
    with pytest.raises(CannotOpen):
        KEYS.open(KEYS.seal(b"Sara", PLACE), b"patients|phone|8")


@given(st.data())
def test_a_damaged_seal_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal(b"Sara", PLACE))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        KEYS.open(bytes(sealed), PLACE)


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        KEYS.open(sealed, PLACE)


def test_the_newest_key_seals_and_an_older_one_still_opens() -> None:
    before = Keys({"old": OLD}).seal(b"Sara", PLACE)
    assert KEYS.open(before, PLACE) == b"Sara"
    after = KEYS.seal(b"Sara", PLACE)
    assert Keys({"new": NEW}).open(after, PLACE) == b"Sara"
    with pytest.raises(CannotOpen):
        Keys({"old": OLD}).open(after, PLACE)
    with pytest.raises(CannotOpen):
        Keys({"new": OLD}).open(after, PLACE)


def test_a_key_for_one_purpose_is_good_for_no_other() -> None:
    assert KEYS.signing_keys("a") != KEYS.signing_keys("b")
    assert list(KEYS.signing_keys("a")) == ["new", "old"]
    derived = {KEYS.signing_keys("a")["new"], KEYS.signing_keys("b")["new"], KEYS.keyed_hash("a", ""), NEW}
    assert len(derived) == 4


def test_a_keyed_hash_tells_equal_from_different_and_needs_the_key() -> None:
    assert KEYS.keyed_hash("email", "a@b") == KEYS.keyed_hash("email", "a@b")
    assert KEYS.keyed_hash("email", "a@b") != KEYS.keyed_hash("email", "a@c")
    assert KEYS.keyed_hash("email", "a@b") != KEYS.keyed_hash("phone", "a@b")
    assert KEYS.keyed_hash("email", "a@b") != Keys({"new": OLD}).keyed_hash("email", "a@b")


def test_keys_are_read_from_the_environment_newest_first() -> None:
    keys = Keys.parse(f" k2:{encoded(NEW)} , k1:{encoded(OLD)},")
    assert keys.seal(b"", b"")[1:3] == b"k2"
    assert keys.open(Keys({"k1": OLD}).seal(b"x", PLACE), PLACE) == b"x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "k1",
        "k1:",
        f":{encoded(NEW)}",
        f"k1:{encoded(NEW)[:-4]}",
        f"k1:{encoded(NEW + b'x')}",
        f"k1:{encoded(NEW)}!",
        f"{'k' * 17}:{encoded(NEW)}",
        f"k1:{encoded(NEW)},k1:{encoded(OLD)}",
        f"k1:{encoded(NEW)};k2:{encoded(OLD)}",
    ],
)
def test_keys_that_cannot_be_read_are_refused_without_being_told(text: str) -> None:
    with pytest.raises(BadKeys) as refusal:
        Keys.parse(text)
    assert "HUB_KEYS" in str(refusal.value)
    assert encoded(NEW)[:-4] not in str(refusal.value)


def test_secrets_are_long_different_and_stored_hashed() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) >= 43 and secret.isascii() for secret in secrets)
    assert len({hash_secret(secret) for secret in secrets}) == 100
