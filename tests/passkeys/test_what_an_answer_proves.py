"""What an authenticator's answer proves: every fault is refused, also of what is no answer at all."""

import copy
import os
import time

import cbor2
import pytest

from authservice.security import webauthn
from authservice.security.passkey_challenges import InvalidCredential
from tests.passkeys.authenticator import (
    BACKED_UP,
    ELIGIBLE,
    EXTENDED,
    PRESENT,
    VERIFIED,
    Passkey,
    decoded,
    encoded,
)

ALICE_ID, BOB_ID = "a" * 24, "b" * 24


@pytest.fixture
def in_app(make_app):
    with make_app(PASSKEY_RP_ID="example.com", PASSKEY_ORIGINS="https://app.example.com").app_context():
        yield


@pytest.fixture
def passkey():
    return Passkey()


def options(user_id=ALICE_ID):
    return webauthn.registration_options(user_id, "alice@example.com", "Shop", [])


def register(passkey, user_id=ALICE_ID):
    return webauthn.verify_registration(passkey.create(options(user_id)), user_id)


def use(credential, public_key):
    """All that a sign-in verifies of an answer."""
    return webauthn.verify_assertion(webauthn.read_assertion(credential), public_key)


def answer(passkey):
    return passkey.get(webauthn.authentication_options())


def test_an_answer_proves_its_passkey(in_app, passkey):
    before = time.time_ns() // 1_000
    new = register(passkey)
    assert (new.id, new.sign_count, new.is_synced, new.transports) == (passkey.id, 0, True, ("internal", "hybrid"))
    assert before <= new.challenge_at <= time.time_ns() // 1_000
    assertion = webauthn.read_assertion(answer(passkey))
    assert (assertion.user_id, assertion.credential_id) == (ALICE_ID, passkey.id)
    assert assertion.challenge_at > new.challenge_at
    assert webauthn.verify_assertion(assertion, new.public_key) == webauthn.Proof(sign_count=0, is_synced=True)


def test_the_options_ask_for_a_discoverable_passkey_and_for_its_user(in_app):
    asked = webauthn.registration_options(ALICE_ID, "alice@example.com", "Shop", [(b"\1\2", ["usb"])])
    assert asked["rp"] == {"id": "example.com", "name": "Shop"}
    assert decoded(asked["user"]["id"]) == bytes.fromhex(ALICE_ID)
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["excludeCredentials"] == [{"type": "public-key", "id": "AQI", "transports": ["usb"]}]
    asked = webauthn.authentication_options()
    assert (asked["rpId"], asked["userVerification"], asked["allowCredentials"]) == ("example.com", "required", [])
    assert asked["challenge"] != webauthn.authentication_options()["challenge"]


FAULTS = {
    "another origin": {"origin": "https://evil.example.com"},
    "the same host without TLS": {"origin": "http://app.example.com"},
    "a port": {"origin": "https://app.example.com:8443"},
    "another domain": {"rp_id": "app.example.com"},
    "a frame of another site": {"said": {"crossOrigin": True}},
    "a frame, in other words": {"said": {"crossOrigin": 1}},
    "a page on top": {"said": {"topOrigin": "https://evil.example"}},
    "another ceremony": {"said": {"type": "payment.get"}},
    "a challenge of its own": {"said": {"challenge": encoded(os.urandom(40))}},
    "no challenge": {"said": {"challenge": None}},
    "a short challenge": {"said": {"challenge": ""}},
    "a challenge that is no text": {"said": {"challenge": 5}},
    "no user verification": {"flags": PRESENT | ELIGIBLE},
    "no user presence": {"flags": VERIFIED | ELIGIBLE},
    "a backup that cannot be": {"flags": PRESENT | VERIFIED | BACKED_UP},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_answer_is_refused(in_app, passkey, fault):
    key = register(passkey).public_key
    vars(passkey).update(FAULTS[fault])
    with pytest.raises(InvalidCredential):
        register(passkey)
    with pytest.raises(InvalidCredential):
        use(answer(passkey), key)


def test_a_challenge_is_for_one_purpose_and_one_user(in_app, passkey):
    key = register(passkey).public_key
    with pytest.raises(InvalidCredential):
        webauthn.verify_registration(passkey.create(options(BOB_ID)), ALICE_ID)
    with pytest.raises(InvalidCredential):
        use(passkey.get(options()), key)
    made = passkey.create({**options(), "challenge": webauthn.authentication_options()["challenge"]})
    with pytest.raises(InvalidCredential):
        webauthn.verify_registration(made, ALICE_ID)


@pytest.mark.parametrize(("seconds", "is_good"), [(-6, False), (-4, True), (299, True), (301, False)])
def test_a_challenge_is_good_for_300_seconds(in_app, passkey, monkeypatch, seconds, is_good):
    key = register(passkey).public_key
    given, moment = answer(passkey), time.time()
    monkeypatch.setattr(time, "time", lambda: moment + seconds)
    if is_good:
        use(given, key)
    else:
        with pytest.raises(InvalidCredential):
            use(given, key)


def test_a_challenge_of_another_service_is_refused(in_app, passkey, make_app):
    key = register(passkey).public_key
    other = make_app(
        JWT_SECRET_KEY="another secret of 32 bytes or more",
        PASSKEY_RP_ID="example.com",
        PASSKEY_ORIGINS="https://app.example.com",
    )
    with other.app_context():
        given = answer(passkey)
    with pytest.raises(InvalidCredential):
        use(given, key)


def test_a_new_secret_lets_answers_of_before_pass(in_app, passkey, make_app, settings):
    key = register(passkey).public_key
    given = answer(passkey)
    new = make_app(
        JWT_SECRET_KEY="another secret of 32 bytes or more",
        JWT_OLD_SECRET_KEYS=settings["JWT_SECRET_KEY"],
        PASSKEY_RP_ID="example.com",
        PASSKEY_ORIGINS="https://app.example.com",
    )
    with new.app_context():
        use(given, key)


def test_the_key_of_another_passkey_is_refused(in_app, passkey):
    register(passkey)
    with pytest.raises(InvalidCredential):
        use(answer(passkey), register(Passkey()).public_key)


def test_the_id_is_the_one_that_the_device_made(in_app, passkey):
    made = passkey.create(options())
    with pytest.raises(InvalidCredential):
        webauthn.verify_registration({**made, "id": encoded(b"another"), "rawId": encoded(b"another")}, ALICE_ID)
    assert webauthn.verify_registration(made, ALICE_ID).id == passkey.id


def test_no_crossorigin_counts_as_false(in_app, passkey):
    passkey.said = {"crossOrigin": None}  # older browsers, and apps
    key = register(passkey).public_key
    use(answer(passkey), key)


ODD = {
    "null": None,
    "a number": 5,
    "text": "x",
    "padding": "AAA=",
    "standard base64": "AA+/",
    "a line break": "AAAA\n",
    "a length that cannot be": "AAAAA",
    "empty": "",
    "a list": ["AAAA"],
    "other bytes": encoded(os.urandom(60)),
    "nested": encoded(b"[" * 6_000),
    "nested CBOR": encoded(b"\x81" * 6_000),
    "endless CBOR": encoded(b"\x9b" + b"\xff" * 8),
    "not UTF-8": encoded(b'{"type": "\xff"}'),
    "twice": encoded(b'{"type": 1, "type": 2}'),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_answer_is_refused(in_app, passkey, odd):
    key = register(passkey).public_key
    for given, judge in (
        (passkey.create(options()), lambda one: webauthn.verify_registration(one, ALICE_ID)),
        (answer(passkey), lambda one: use(one, key)),
    ):
        judge(given)
        for place in ("id", "rawId", "type", "response", "clientDataJSON", "attestationObject", "authenticatorData"):
            if place in given or place in given["response"]:
                for _ in ("replaced", "missing"):
                    broken = copy.deepcopy(given)
                    within = broken if place in broken else broken["response"]
                    within[place] = ODD[odd]
                    with pytest.raises(InvalidCredential):
                        judge(broken)
                    del within[place]
                    with pytest.raises(InvalidCredential):
                        judge(broken)
    for place in ("signature", "userHandle"):
        broken = copy.deepcopy(given)
        broken["response"][place] = ODD[odd]
        with pytest.raises(InvalidCredential):
            use(broken, key)


@pytest.mark.parametrize(
    "public_key",
    [
        {},
        {1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32},  # not on the curve
        {1: 2, 3: -7, -1: 99, -2: b"\1" * 32, -3: b"\2" * 32},
        {1: 1, 3: -8, -1: 6, -2: b"\1" * 5},
        {1: 3, 3: -257, -1: b"\xff" * 4_000, -2: b"\xff" * 3_999},  # would take minutes
        {1: 3, 3: -257, -1: b"", -2: b""},
        {1: "2", 3: "x"},
        {1: 2, 3: -65_535, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32},
    ],
    ids=["empty", "no-point", "no-curve", "short-ed25519", "huge-rsa", "empty-rsa", "text", "sha1"],
)
def test_a_hostile_key_costs_nothing(in_app, passkey, public_key):
    register(passkey)
    given = answer(passkey)
    started = time.process_time()
    with pytest.raises(InvalidCredential):
        use(given, cbor2.dumps(public_key))
    assert time.process_time() - started < 2


def shared_twice(levels):
    """CBOR of a few bytes a level: each holds the one before it twice (tags 28 and 29), so written out it doubles."""
    held = [b"\xd8\x1c\x82\0\0", *(b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + cbor2.dumps(n)) for n in range(levels))]
    return b"\x98" + bytes([len(held)]) + b"".join(held)


@pytest.mark.parametrize("place", ["key", "extension", "statement"])
def test_values_that_double_cost_nothing(in_app, passkey, place):
    key, made, used = register(passkey).public_key, passkey.create(options()), answer(passkey)
    many, statement = shared_twice(20), b"\xa0"
    data = cbor2.loads(decoded(made["response"]["attestationObject"]))["authData"]
    if place == "key":
        data = data[: 55 + len(passkey.id)] + many
    elif place == "extension":
        data = data[:32] + bytes([data[32] | EXTENDED]) + data[33:] + many
    else:
        statement = b"\xa1\x63x5c" + many
    parts = (b"\xa3", *map(cbor2.dumps, ("fmt", "none", "authData", data, "attStmt")), statement)
    made["response"]["attestationObject"] = encoded(b"".join(parts))
    used["response"]["authenticatorData"] = encoded(data)
    started = time.process_time()
    with pytest.raises(InvalidCredential):
        webauthn.verify_registration(made, ALICE_ID)
    with pytest.raises(InvalidCredential):
        use(used, key)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("format", ["x", 5, None, "packed", "tpm", "apple", "fido-u2f", "android-key"])
def test_an_attestation_that_proves_nothing_is_refused(in_app, passkey, format):
    passkey.attestation = {"fmt": format, "attStmt": {}}
    with pytest.raises(InvalidCredential):
        register(passkey)


def test_hints_of_the_browser_are_only_kept_if_they_may_be_ones(in_app, passkey):
    made = passkey.create(options())
    made["response"]["transports"] = ["usb", 5, "smart-card", "<script>", None, *["x"] * 20]
    assert webauthn.verify_registration(made, ALICE_ID).transports == ("usb", "smart-card", *["x"] * 6)
