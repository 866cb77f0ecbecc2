"""Each of the 16 blocks of a PBKDF2 hash of 512 bytes is as dear as the first, which alone is compared."""

import hashlib
import time

import pytest

from authservice.security.legacy import LegacyKeys, encode, parse

SALT, PASSWORD, ITERATIONS = b"salt", "correct horse", 20_000
WHOLE = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), SALT, ITERATIONS, 512)


def legacy(hashed):
    return parse(encode.pbkdf2("sha256", ITERATIONS, SALT, hashed))


def cpu_seconds(work):
    def once():
        started = time.thread_time()
        work()
        return time.thread_time() - started

    return min(once() for _ in range(3))


def test_right_and_wrong_passwords_take_one_block():
    whole = cpu_seconds(lambda: hashlib.pbkdf2_hmac("sha256", b"any", SALT, ITERATIONS, 512))
    for password in (PASSWORD, "wrong"):
        assert cpu_seconds(lambda password=password: legacy(WHOLE).matches(password, LegacyKeys())) < whole / 8


@pytest.mark.parametrize("at", [0, 31])
def test_every_byte_of_it_counts(at):
    changed = bytearray(WHOLE)
    changed[at] ^= 1
    assert legacy(WHOLE).matches(PASSWORD, LegacyKeys())
    assert not legacy(bytes(changed)).matches(PASSWORD, LegacyKeys())


@pytest.mark.parametrize("size", [16, 20, 32, 64])
def test_a_hash_is_as_long_as_the_stack_made_it(size):
    assert legacy(WHOLE[:size]).matches(PASSWORD, LegacyKeys())
