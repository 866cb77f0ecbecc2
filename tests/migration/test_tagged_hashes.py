"""What ``encode`` writes, ``parse`` reads; what is malformed or too dear is no hash at all."""

import base64
import hashlib
import hmac

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret

from authservice.security.legacy import FirebaseKeys, LegacyKeys, encode, parse

PASSWORD = "correct horse"
SALT = b"a salt of 20 bytes.."
BCRYPT_SALT = "saltsaltsaltsaltsaltsu"  # hashes name tests, which must be the same in every process
PEPPER = b"ground black pepper"
KEYS = LegacyKeys(PEPPER)
DIGEST = hashlib.sha256(PASSWORD.encode()).hexdigest().encode()
PEPPERED = base64.b64encode(hmac.digest(PEPPER, PASSWORD.encode(), "sha512"))


def bcrypt_of(secret, cost=4):
    return bcrypt.hashpw(secret[:72], f"$2b${cost:02}${BCRYPT_SALT}".encode()).decode()


def argon2_of(secret, kind=Type.ID, t=1, m=64, p=1):
    return hash_secret(secret, b"saltsalt", t, m, p, 32, kind).decode()


def pbkdf2_of(secret, digest="sha256", iterations=1_000, size=32, salt=SALT):
    return hashlib.pbkdf2_hmac(digest, secret, salt, iterations, size)


def scrypt_of(secret, ln=4, r=8, p=1, size=64):
    return hashlib.scrypt(secret, salt=SALT, n=2**ln, r=r, p=p, dklen=size, maxmem=2**28)


PLAIN = PASSWORD.encode()
GOOD = {
    "argon2id": argon2_of(PLAIN),
    "argon2i": argon2_of(PLAIN, Type.I),
    "argon2d": argon2_of(PLAIN, Type.D, p=4),
    "pbkdf2-sha1": encode.pbkdf2("sha1", 1_000, SALT, pbkdf2_of(PLAIN, "sha1", size=20)),
    "pbkdf2-sha256": encode.pbkdf2("sha256", 1_000, b"", pbkdf2_of(PLAIN, salt=b"")),
    "pbkdf2-sha512": encode.pbkdf2("sha512", 1_000, SALT, pbkdf2_of(PLAIN, "sha512", size=512)),
    "pbkdf2-sha256+sha1": encode.pbkdf2("sha256+sha1", 1_000, SALT, pbkdf2_of(PLAIN, "sha1", size=512)),
    "scrypt": encode.scrypt(4, 8, 1, SALT, scrypt_of(PLAIN)),
    "scrypt-nfkc": encode.scrypt(4, 16, 1, SALT, scrypt_of(PLAIN, r=16), nfkc=True),
    "meteor-bcrypt": encode.meteor(bcrypt_of(DIGEST)),
    "meteor-argon2id": encode.meteor(argon2_of(DIGEST)),
    "devise-bcrypt": encode.devise(bcrypt_of(PLAIN + PEPPER)),
    "sha256hex-bcrypt": encode.sha256hex(bcrypt_of(DIGEST)),
    "flask-security-bcrypt": encode.flask_security(bcrypt_of(PEPPERED)),
    "flask-security-argon2id": encode.flask_security(argon2_of(PEPPERED)),
    "flask-security-pbkdf2-sha512": encode.flask_security(
        encode.pbkdf2("sha512", 1_000, SALT, pbkdf2_of(PEPPERED, "sha512", size=64))
    ),
}
THIRD = base64.b64encode(b"x" * 32).decode()
ARGON2 = argon2_of(PLAIN)


@pytest.mark.parametrize(("scheme", "text"), GOOD.items(), ids=GOOD)
def test_a_hash_is_read_back_and_checked(scheme, text):
    legacy = parse(text)
    assert legacy.scheme == scheme
    assert legacy.matches(PASSWORD, KEYS)
    assert not legacy.matches("correct horsf", KEYS)
    assert not legacy.matches("", KEYS)


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("scheme", ["argon2id", "argon2i", "argon2d", "scrypt", "scrypt-nfkc"])
def test_every_byte_of_a_hash_counts(scheme, at):
    """PBKDF2 has a file of its own: one block of its hash counts."""
    start, _, hashed = GOOD[scheme].rpartition("$")
    changed = bytearray(base64.b64decode(f"{hashed}=="))
    changed[at] ^= 1
    encoded = base64.b64encode(changed).decode()
    legacy = parse(f"{start}${encoded if hashed.endswith('=') else encoded.rstrip('=')}")
    assert not legacy.matches(PASSWORD, KEYS)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_password_with_a_nul_never_matches(text):
    assert not parse(text).matches(f"{PASSWORD}\0", KEYS)
    assert not parse(text).matches(f"{PASSWORD}\0more", KEYS)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_cut_or_longer_hash_is_none(text):
    assert parse(text[:-1]) is None
    assert parse(text[: len(text) // 2]) is None
    assert parse(f"{text}A") is None
    assert parse(f"{text}\n") is None
    assert parse(f" {text}") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "$",
        "$$",
        "password",
        "$2b$04$" + "." * 53,
        "$nosuch$" + "." * 53,
        "$meteor$",
        "$meteor$" + encode.pbkdf2("sha256", 1_000, SALT, b"x" * 32),
        "$meteor$" + GOOD["meteor-bcrypt"],
        "$flask-security$" + GOOD["flask-security-bcrypt"],
        encode.devise("$2b$03$" + "." * 53),
        encode.devise("$2b$15$" + "." * 53),
        encode.devise("$2x$10$" + "." * 53),
        encode.pbkdf2("md5", 1_000, SALT, b"x" * 16),
        encode.pbkdf2("sha256", 0, SALT, b"x" * 32),
        encode.pbkdf2("sha256", 2_000_001, SALT, b"x" * 32),
        encode.pbkdf2("sha256", 10**9, SALT, b"x" * 32),
        encode.pbkdf2("sha256", 1_000, SALT, b"x" * 31),
        encode.pbkdf2("sha256", 1_000, SALT, b""),
        encode.pbkdf2("sha256", 1_000, b"x" * 513, b"x" * 32),
        f"$pbkdf2$sha256$1000$a salt${THIRD}",
        f"$pbkdf2$sha256$0x10${THIRD}${THIRD}",
        f"$pbkdf2$sha256$-1${THIRD}${THIRD}",
        f"$pbkdf2$sha256$\u0661000${THIRD}${THIRD}",
        encode.scrypt(18, 8, 1, SALT, b"x" * 64),
        encode.scrypt(17, 8, 2, SALT, b"x" * 64),
        encode.scrypt(4, 8, 1, b"x" * 513, b"x" * 64),
        encode.scrypt(0, 8, 1, SALT, b"x" * 64),
        encode.scrypt(16, 1, 1, SALT, b"x" * 64),
        encode.scrypt(31, 1, 1, SALT, b"x" * 64),
        encode.scrypt(2, 1, 17, SALT, b"x" * 64),
        encode.scrypt(14, 8, 1, SALT, b"x" * 8),
        encode.scrypt_kdf(base64.b64encode(b"scrypt\0\x1f" + b"\0" * 88).decode()),
        encode.scrypt_kdf("not base64"),
        encode.firebase(SALT, b"x" * 31),
        encode.firebase(b"x" * 513, b"x" * 64),
        ARGON2.replace("m=64", "m=131073"),
        ARGON2.replace("m=64", "m=7"),
        ARGON2.replace("m=64,t=1", "m=65536,t=9"),
        ARGON2.replace("t=1", "t=999999"),
        ARGON2.replace("p=1", "p=9"),
        ARGON2.replace("m=64,t=1,p=1", "m=4096,t=1,p=65"),
        ARGON2.replace("v=19", "v=16"),
        ARGON2.replace("p=1", "t=1"),
        ARGON2.replace("c2FsdHNhbHQ", "c2FsdHNhbA"),
        ARGON2.replace(",p=1", ""),
        ARGON2.replace("p=1", "p=1,t=1"),
        ARGON2.replace("c2FsdHNhbHQ", "c2FsdHNhbHR"),
        "$scrypt$" + "9" * 3_000,
        encode.flask_security(encode.pbkdf2("sha512", 2_000_000, SALT, b"x" * 64)),
    ],
)
def test_what_no_stack_makes_or_nobody_can_afford_is_none(text):
    assert parse(text) is None


def scrypt_file(ln, r, p):
    """Its checksum is right, and its HMAC is of nothing."""
    header = b"scrypt\0" + bytes([ln]) + r.to_bytes(4) + p.to_bytes(4) + b"s" * 32
    return base64.b64encode(header + hashlib.sha256(header).digest()[:16] + bytes(32)).decode()


@pytest.mark.parametrize(
    ("ln", "r", "p"),
    [(18, 8, 1), (17, 8, 2), (0, 8, 1), (16, 1, 1), (31, 1, 1), (2, 1, 17), (14, 0, 1), (14, 8, 0), (1, 2**32 - 1, 1)],
)
def test_a_file_of_scrypt_has_the_same_caps(ln, r, p):
    """Else a sign-in would take all the memory, or end in an error."""
    assert parse(encode.scrypt_kdf(scrypt_file(17, 8, 1))) is not None
    assert parse(encode.scrypt_kdf(scrypt_file(ln, r, p))) is None


@pytest.mark.parametrize(
    "text",
    [
        encode.pbkdf2("sha256", 1_500_000, SALT, b"x" * 32),
        encode.pbkdf2("sha256+sha1", 25_000, SALT, b"x" * 512),
        encode.pbkdf2("sha512", 210_000, SALT, b"x" * 64),
        encode.scrypt(15, 8, 1, SALT, b"x" * 64),
        encode.scrypt(14, 8, 5, SALT, b"x" * 64),
        encode.scrypt(14, 16, 1, SALT, b"x" * 64, nfkc=True),
        encode.scrypt(17, 8, 1, SALT, b"x" * 64),
        ARGON2.replace("m=64,t=1,p=1", "m=7168,p=1,t=5"),
        ARGON2.replace("m=64,t=1,p=1", "m=65536,t=4,p=1"),
        ARGON2.replace("m=64,t=1,p=1", "m=102400,t=2,p=8"),
        ARGON2.replace("m=64,t=1,p=1", "m=131072,t=1,p=64"),
        encode.devise("$2a$14$" + "." * 53),
    ],
)
def test_what_stacks_make_is_within_the_caps(text):
    assert parse(text) is not None


def test_the_hash_of_a_salt_that_only_looks_valid_matches_nothing():
    assert not parse(encode.devise("$2b$04$" + "A" * 53)).matches(PASSWORD, KEYS)


def test_flask_security_needs_its_salt():
    legacy = parse(GOOD["flask-security-bcrypt"])
    assert legacy.needs == "pepper"
    assert not legacy.matches(PASSWORD, LegacyKeys())
    assert not legacy.matches(PASSWORD, LegacyKeys(b"other"))


def test_devise_without_a_pepper_hashes_the_password_alone():
    legacy = parse(encode.devise(bcrypt_of(PLAIN)))
    assert legacy.needs == "pepper"
    assert legacy.matches(PASSWORD, LegacyKeys())
    assert not legacy.matches(PASSWORD, KEYS)


def test_a_firebase_hash_needs_the_keys_of_its_project():
    """The example in the README of github.com/firebase/scrypt."""
    salt = base64.b64decode("42xEC+ixf3L2lw==")
    hashed = base64.b64decode(
        "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    )
    legacy = parse(encode.firebase(salt, hashed))
    signer_key = base64.b64decode(
        "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
    )
    keys = LegacyKeys(firebase=FirebaseKeys(signer_key, b"\7", rounds=8, mem_cost=14))
    assert (legacy.scheme, legacy.needs) == ("firebase", "firebase key")
    assert legacy.matches("user1password", keys)
    assert not legacy.matches("user2password", keys)
    assert not legacy.matches("user1password", LegacyKeys(firebase=FirebaseKeys(signer_key, b"\6", 8, 14)))
    assert not legacy.matches("user1password", LegacyKeys())
    assert not parse(encode.firebase(salt, hashed[:-1] + b"x")).matches("user1password", keys)


def test_the_dearer_hash_ranks_higher():
    cheap, dear = (parse(encode.pbkdf2("sha256", count, SALT, b"x" * 32)) for count in (1_000, 1_000_000))
    assert 0 < cheap.dear < 40 < dear.dear
    assert (cheap.cost, dear.cost) == ("1,000 iterations", "1,000,000 iterations")


def test_a_firebase_hash_ranks_as_the_dearest_that_a_project_can_have():
    """It does not say its own parameters."""
    dearest = parse(encode.scrypt(14, 8, 1, SALT, b"x" * 64))
    assert parse(encode.firebase(SALT, b"x" * 64)).dear == dearest.dear
