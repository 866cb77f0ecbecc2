"""PBKDF2 of 512 bytes has 16 blocks: a wrong password is refused after the first, and every byte of the hash counts."""

import hashlib
import time

import pytest

from authservice.security.legacy import LegacyKeys, encode, parse

SALT, PASSWORD, ITERATIONS = b"salt", "correct horse", 20_000
WHOLE = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), SALT, ITERATIONS, 512)


def legacy(hashed):
    return parse(encode.pbkdf2("sha256", ITERATIONS, SALT, hashed))


def cpu_seconds(password):
    started = time.thread_time()
    legacy(WHOLE).matches(password, LegacyKeys())
    return time.thread_time() - started


def test_a_wrong_password_is_refused_after_the_first_block():
    wrong, right = (min(cpu_seconds(password) for _ in range(3)) for password in ("wrong", PASSWORD))
    assert wrong < right / 8


@pytest.mark.parametrize("at", [0, 31, 32, 511])
def test_every_byte_counts(at):
    changed = bytearray(WHOLE)
    changed[at] ^= 1
    assert legacy(WHOLE).matches(PASSWORD, LegacyKeys())
    assert not legacy(bytes(changed)).matches(PASSWORD, LegacyKeys())


@pytest.mark.parametrize("size", [16, 20, 32, 64])
def test_a_hash_as_long_as_the_stack_made_it(size):
    assert legacy(WHOLE[:size]).matches(PASSWORD, LegacyKeys())
