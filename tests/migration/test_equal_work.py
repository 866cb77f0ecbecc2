"""Every wrong password takes the same CPU of the hashing thread, which is what equal time is measured by."""

import base64
import hashlib
import hmac
import time

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret

from authservice.security.legacy import LegacyKeys, encode, parse

KEYS = LegacyKeys(b"pepper")
RIGHT = "correct horse"
BCRYPT = bcrypt.hashpw(b"correct horse", b"$2b$07$saltsaltsaltsaltsaltsu").decode()  # it names tests


def seconds(text, password):
    """The CPU of this thread, and of the whole process."""
    legacy = parse(text)
    taken = []
    for _ in range(5):
        thread, process = time.thread_time(), time.process_time()
        assert legacy.matches(password, KEYS) == (password == RIGHT)
        taken.append((time.thread_time() - thread, time.process_time() - process))
    return min(taken)


def test_argon2_computes_all_its_lanes_in_one_thread():
    text = hash_secret(b"correct horse", b"saltsalt", 3, 32_768, 4, 32, Type.ID).decode()
    in_thread, in_process = seconds(text, "wrong")
    assert in_thread > in_process * 0.8


@pytest.fixture
def hashed(monkeypatch):
    """Grows by one with each hash that is computed."""
    calls = []
    for module, name in ((bcrypt, "checkpw"), (hashlib, "pbkdf2_hmac")):
        original = getattr(module, name)
        counted = lambda *given, original=original: calls.append(given) or original(*given)  # noqa: E731
        monkeypatch.setattr(module, name, counted)
    return calls


# An emoji has two SHA-256 in Meteor, an umlaut two normal forms in Flask-Security, and ASCII has one of both.
@pytest.mark.parametrize("typed", [RIGHT, "correct horsf", "Zürich 😀"])
@pytest.mark.parametrize("encoded", [encode.meteor, encode.flask_security])
def test_both_ways_are_always_tried(hashed, encoded, typed):
    """Also after a match: else the right password of a disabled account would lower what refusals cost."""
    inner = {encode.meteor: hashlib.sha256(RIGHT.encode()).hexdigest().encode()}.get(encoded)
    text = encoded(bcrypt.hashpw(inner, bcrypt.gensalt(4)).decode() if inner else BCRYPT)
    assert parse(text).matches(typed, KEYS) == (typed == RIGHT and inner is not None)
    assert len(hashed) == 2
    assert parse(encoded(BCRYPT)).dear == 2 * parse(encode.devise(BCRYPT)).dear


def test_without_its_key_no_hash_is_computed(hashed):
    """Flask-Security's of an empty salt would match too."""
    secret = base64.b64encode(hmac.digest(b"", RIGHT.encode(), "sha512"))
    text = encode.flask_security(bcrypt.hashpw(secret[:72], bcrypt.gensalt(4)).decode())
    assert not parse(text).matches(RIGHT, LegacyKeys())
    assert hashed == []


@pytest.mark.parametrize("typed", [RIGHT, "wrong"])
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_both_digests_are_always_tried(hashed, digest, typed):
    expected = hashlib.pbkdf2_hmac(digest, RIGHT.encode(), b"salt", 20, 20)
    hashed.clear()
    of_both, of_one = (encode.pbkdf2(name, 20, b"salt", expected) for name in ("sha256+sha1", digest))
    assert parse(of_both).matches(typed, KEYS) == (typed == RIGHT)
    assert [given[0] for given in hashed] == ["sha256", "sha1"]
    assert parse(of_both).dear > parse(of_one).dear * 1.5


@pytest.mark.parametrize(
    "text",
    [
        encode.devise(BCRYPT.replace("$07$", "$09$")),
        encode.pbkdf2("sha1", 100_000, b"salt", b"x" * 20),
        encode.pbkdf2("sha256", 100_000, b"salt", b"x" * 512),
        encode.pbkdf2("sha512", 100_000, b"salt", b"x" * 64),
        encode.scrypt(14, 8, 1, b"salt", b"x" * 64),
        encode.scrypt(14, 16, 1, b"salt", b"x" * 64, nfkc=True),
        f"$argon2id$v=19$m=32768,t=2,p=4$c2FsdHNhbHQ${base64.b64encode(b'x' * 32).decode().rstrip('=')}",
    ],
    ids=lambda text: text[:20],
)
def test_the_rank_of_a_hash_is_about_its_milliseconds(text):
    """Machines differ. The rank only has to put formats into the order of their work."""
    of_bcrypt = seconds(encode.devise(BCRYPT), "wrong")[0] / parse(encode.devise(BCRYPT)).dear
    assert 0.4 < seconds(text, "wrong")[0] / parse(text).dear / of_bcrypt < 2.5
