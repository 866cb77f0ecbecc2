"""Users of every stack sign in with the passwords they have: once by the old hash, and from then on by ours."""

import itertools
import time

import pytest

from authservice.security.legacy import encode, parse
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE
from tests.migration.golden_hashes import STACKS, golden_of

HASH = b"x" * 32
HOSTILE = {
    "iterations": encode.pbkdf2("sha256", 2**31 - 1, b"salt", HASH),
    "iterations of a dear digest": encode.pbkdf2("sha512", 2_000_001, b"salt", b"x" * 64),
    "rounds": encode.devise(f"$2b$31${'.' * 53}"),
    "memory": encode.scrypt(20, 32, 1, b"salt", HASH),
    "lanes": encode.scrypt(14, 8, 99, b"salt", HASH),
    "kibibytes": "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43,
    "passes": "$argon2id$v=19$m=65536,t=1000000,p=1$c2FsdHNhbHQ$" + "A" * 43,
    "no hash": "$pbkdf2$sha256$1000$c2FsdA==$",
    "no tag": "$unknown$sha256$1000$c2FsdA==$AAAA",
    "tag": "$meteor$",
    "length": f"$scrypt$ln=4,r=8,p=1${'A' * 4_000_000}$AAAA",
}


def groups(goldens):
    """Lists of those that one application can check: it has one pepper and one Firebase project."""
    by_settings = sorted(goldens, key=lambda golden: golden.settings)
    return [list(group) for _, group in itertools.groupby(by_settings, key=lambda golden: golden.settings)]


def of_each_scheme(stack):
    """The cheapest one of each scheme, the cheap ones first: a dear one makes every refusal as dear."""
    tagged = [(legacy, golden) for golden in golden_of(stack) if (legacy := parse(golden.text))]
    tagged.sort(key=lambda pair: pair[0].dear)
    found = {}
    for legacy, golden in tagged:
        if len(golden.password.encode()) < 72:
            found.setdefault(legacy.scheme, golden)
    return list(found.values()) or [golden_of(stack)[0]]


def post(client, email, password):
    return client.post("/auth", json={"email": email, "password": password})


@pytest.mark.parametrize("stack", STACKS)
def test_each_user_signs_in_and_then_has_our_hash(stack, make_app, database):
    for number, group in enumerate(groups(golden_of(stack))):
        client = make_app(**dict(group[0].settings)).test_client()
        emails = [f"user-{number}-{index}@example.com" for index in range(len(group))]
        database.users.insert_many(
            [{"email": email, "password": golden.text} for email, golden in zip(emails, group, strict=True)]
        )
        for email, golden in zip(emails, group, strict=True):
            assert_ok(post(client, email, golden.password))
            renewed = database.users.find_one({"email": email})
            assert renewed["password"].startswith("$2b$04$"), golden
            assert_ok(post(client, email, golden.password))
            assert database.users.find_one({"email": email})["password"] == renewed["password"]
            assert_problem(post(client, email, f"{golden.password}!"), 401, "credentials_invalid")  # no cut any more


@pytest.mark.parametrize("stack", STACKS)
def test_another_password_is_refused_and_changes_nothing(stack, make_app, database):
    for golden in of_each_scheme(stack):
        client = make_app(**dict(golden.settings)).test_client()
        document = {"email": ALICE, "password": golden.text}
        database.users.replace_one({"email": ALICE}, document, upsert=True)
        right = golden.password
        for wrong in (f"{right}x", right[:-1], f"{right[:-1]}😁", right.swapcase()):
            assert_problem(post(client, ALICE, wrong), 401, "credentials_invalid")
        with_nul = post(client, ALICE, f"{right}\0")
        assert_problem(with_nul, 422, "validation_failed", ("/password", "invalid_character"))
        stored = database.users.find_one({"email": ALICE}, {"_id": 0})
        assert stored == document
        assert_ok(post(client, ALICE, right))


@pytest.mark.parametrize("stack", ["devise", "firebase", "flask-security"])
def test_another_pepper_or_key_is_refused(stack, make_app, database):
    golden = next(golden for golden in of_each_scheme(stack) if golden.settings)
    (name, text), *_ = golden.settings
    other = f"{'B' if text[0] == 'A' else 'A'}{text[1:]}"
    database.users.insert_one({"email": ALICE, "password": golden.text})
    for settings in ({}, {**dict(golden.settings), name: other}):
        assert_problem(post(make_app(**settings).test_client(), ALICE, golden.password), 401, "credentials_invalid")
    assert_ok(post(make_app(**dict(golden.settings)).test_client(), ALICE, golden.password))


@pytest.mark.parametrize("stack", STACKS)
def test_a_cut_hash_is_refused(stack, make_app, database):
    golden = of_each_scheme(stack)[0]
    client = make_app(**dict(golden.settings)).test_client()
    for cut in (
        golden.text[:-1],
        golden.text[: len(golden.text) // 2],
        golden.text[:8],
        golden.text.rpartition("$")[0],
    ):
        database.users.replace_one({"email": ALICE}, {"email": ALICE, "password": cut}, upsert=True)
        assert_problem(post(client, ALICE, golden.password), 401, "credentials_invalid")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_hash_is_refused_at_once(text, client, database):
    database.users.insert_one({"email": ALICE, "password": text})
    started = time.process_time()
    assert_problem(post(client, ALICE, "correct horse battery"), 401, "credentials_invalid")
    assert time.process_time() - started < 1
