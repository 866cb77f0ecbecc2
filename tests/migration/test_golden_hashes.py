"""Hashes that the stacks' own libraries made are checked by the rules of those libraries."""

import base64
import unicodedata

import bcrypt
import pytest

from authservice.config import load
from authservice.security.legacy import LegacyKeys, encode, keys_of, parse
from tests.migration.golden_hashes import STACKS, golden_of

ALL = {stack: golden_of(stack) for stack in STACKS}
TAGGED = [golden for stack in STACKS for golden in ALL[stack] if parse(golden.text)]
EMOJI = "pässwörd-日本-😀"
BYTES_72 = "x" * 71 + "y"
BYTES_73 = BYTES_72 + "z"


def matches(golden, password, **other):
    settings = {**dict(golden.settings), **other}
    keys = keys_of(load({f"FLASK_{name}": text for name, text in settings.items()}))
    return parse(golden.text).matches(password, keys)


def name(golden):
    return f"{golden.by}: {golden.text[1:20]}"


def made_of(stack, password):
    found = [golden for golden in ALL[stack] if golden.password == password]
    assert found
    return found


def nearly(password):
    """Other passwords, except those that bcrypt cannot tell from it."""
    near = [password[:-1], f"{password[:-1]}#", f"x{password}", password.swapcase(), password.replace("😀", "😁")]
    return [other for other in near if other.encode()[:72] != password.encode()[:72]]


def test_every_hash_but_those_of_plain_bcrypt_is_tagged():
    for stack in STACKS:
        plain = [golden for golden in ALL[stack] if golden not in TAGGED]
        assert all(golden.text.startswith("$2") for golden in plain)
        assert stack in ("bcrypt", "django", "kratos", "laravel", "supabase") or not plain


@pytest.mark.parametrize("golden", TAGGED, ids=name)
def test_its_password_matches_and_no_other(golden):
    assert matches(golden, golden.password)
    is_dear = parse(golden.text).dear >= 40
    for other in nearly(golden.password)[: 1 if is_dear else None]:
        assert not matches(golden, other)
    assert not matches(golden, f"{golden.password}\0")


@pytest.mark.parametrize("golden", TAGGED, ids=name)
def test_a_cut_hash_is_none(golden):
    for cut in (golden.text[:-1], golden.text[: len(golden.text) // 2], golden.text.rpartition("$")[0]):
        assert parse(cut) is None


@pytest.mark.parametrize("stack", ["devise", "flask-security"])
def test_another_pepper_matches_nothing(stack):
    for golden in ALL[stack]:
        if golden.settings and len(golden.password.encode()) < 72:  # Devise has no place for its pepper behind 72 bytes
            assert not matches(golden, golden.password, LEGACY_PEPPER="another pepper")
            assert not parse(golden.text).matches(golden.password, LegacyKeys())


def test_another_parameter_of_the_firebase_project_matches_nothing():
    golden = made_of("firebase", "Zürich-Straße")[0]
    assert matches(golden, golden.password)
    key = dict(golden.settings)["LEGACY_FIREBASE_KEY"]
    others = {
        "KEY": f"{'B' if key[0] == 'A' else 'A'}{key[1:]}",
        "SALT_SEPARATOR": "CA==",
        "ROUNDS": "5",
        "MEM_COST": "11",
    }
    for parameter, text in others.items():
        assert not matches(golden, golden.password, **{f"LEGACY_FIREBASE_{parameter}": text})


def test_devise_cuts_password_and_pepper_at_72_bytes():
    for golden in made_of("devise", BYTES_73):
        assert matches(golden, BYTES_72)
        assert matches(golden, BYTES_73 + "more")
        assert not matches(golden, BYTES_72[1:])
        assert matches(golden, BYTES_73, LEGACY_PEPPER="another pepper")


@pytest.mark.parametrize("stack", ["argon2", "better-auth", "firebase", "flask-security", "medusa", "meteor"])
def test_other_stacks_read_all_of_a_long_password(stack):
    for golden in made_of(stack, BYTES_73):
        assert matches(golden, BYTES_73)
        assert not matches(golden, BYTES_72)
        assert not matches(golden, BYTES_73 + "A")


def test_django_reads_all_of_a_long_password_but_with_plain_bcrypt():
    of_bcrypt_sha256 = [golden for golden in made_of("django", BYTES_73) if golden.text.startswith("$sha256hex$")]
    assert [matches(golden, BYTES_73) for golden in of_bcrypt_sha256] == [True]
    assert [matches(golden, BYTES_72) for golden in of_bcrypt_sha256] == [False]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_better_auth_and_flask_security_take_a_password_however_it_is_composed(form):
    for golden in [*made_of("better-auth", "ｐａｓｓｗｏｒｄ①"), *made_of("better-auth", "Zu\u0308rich 🔑")]:
        assert matches(golden, unicodedata.normalize(form, golden.password))
    for golden in made_of("flask-security", "Zürich-Straße"):
        is_of_forms = golden.by.startswith("Flask-Security 5")
        assert matches(golden, unicodedata.normalize(form, golden.password)) is (is_of_forms or form in ("NFC", "NFKC"))


def test_meteor_hashed_emoji_in_two_ways():
    old, new = (
        [golden for golden in made_of("meteor", EMOJI) if golden.by.startswith(f"Meteor's {file},")]
        for file in ("sha256.js", "sha256-server.js")
    )
    assert old
    assert new
    for golden in (*old, *new):
        assert matches(golden, EMOJI)
        assert not matches(golden, EMOJI.replace("😀", "😁"))


def test_the_header_of_a_medusa_hash_is_checked():
    golden = ALL["medusa"][0]
    file = base64.b64decode(golden.text.removeprefix("$scrypt-kdf$"))
    for at in (7, 11, 15, 16, 47, 48, 63):
        changed = bytearray(file)
        changed[at] ^= 3
        assert parse(encode.scrypt_kdf(base64.b64encode(changed).decode())) is None
    for end in (bytes(32), file[64:95] + bytes([file[95] ^ 1])):
        changed = base64.b64encode(file[:64] + end).decode()
        assert not parse(encode.scrypt_kdf(changed)).matches(golden.password, LegacyKeys())


def test_passport_local_mongoose_does_not_say_which_digest_it_used():
    for golden in ALL["passport-local-mongoose"]:
        old, new = (parse(golden.text.replace("sha256+sha1", digest)) for digest in ("sha1", "sha256"))
        is_old = "passport-local-mongoose 1.3" in golden.by
        assert old.matches(golden.password, LegacyKeys()) is is_old
        assert new.matches(golden.password, LegacyKeys()) is not is_old


def test_a_salt_is_text_and_not_the_bytes_that_it_may_spell():
    golden = ALL["payload"][0]
    _, _, digest, iterations, salt, hashed = golden.text.split("$")
    spelled = bytes.fromhex(base64.b64decode(salt).decode())
    text = encode.pbkdf2(digest, int(iterations), spelled, base64.b64decode(hashed))
    assert parse(text)
    assert not parse(text).matches(golden.password, LegacyKeys())


@pytest.mark.parametrize("by", ["bcrypt 6", "bcryptjs 3", "bcryptjs 2", "bcrypt-nodejs", "parse-server", "PHP"])
def test_plain_bcrypt_reads_the_first_72_bytes(by):
    """The application's own check takes these: here is only that no library does it in another way."""
    found = [golden for stack in ("bcrypt", "laravel") for golden in ALL[stack] if golden.by.startswith(by)]
    plain = [golden for golden in found if golden not in TAGGED]
    assert plain
    for golden in plain:
        assert bcrypt.checkpw(golden.password.encode()[:72], golden.text.encode())
