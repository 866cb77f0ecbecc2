"""A link or a code is made of a key and of what it is for, and fits nothing else."""

import hmac
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from authservice.security import one_time
from tests.conftest import ALICE, BOB, SECRET

ASKED_AT = datetime(2026, 11, 28, 11, 3, 4, 567_000, UTC)
MILLISECONDS = 1_795_863_784_567
ASKING = ("reset", "0f" * 16, ASKED_AT, ALICE)
OTHER_ASKINGS = [
    ("verification", "0f" * 16, ASKED_AT, ALICE),
    ("reset", "1f" * 16, ASKED_AT, ALICE),
    ("reset", "0f" * 16, ASKED_AT + timedelta(milliseconds=1), ALICE),
    ("reset", "0f" * 16, ASKED_AT, BOB),
]


@pytest.fixture(autouse=True)
def _in_the_app(app):
    with app.app_context():
        yield


def test_the_same_asking_gives_the_same_link_and_code():
    assert one_time.link_token(*ASKING) == one_time.link_token(*ASKING)
    assert one_time.code(*ASKING) == one_time.code(*ASKING)
    assert one_time.matches_token(one_time.link_token(*ASKING), *ASKING)
    assert one_time.matches_code(one_time.code(*ASKING), *ASKING)


@pytest.mark.parametrize("other", OTHER_ASKINGS, ids=["kind", "id", "time", "address"])
def test_another_asking_has_others(other):
    assert one_time.link_token(*other) != one_time.link_token(*ASKING)
    assert one_time.code(*other) != one_time.code(*ASKING)
    assert not one_time.matches_token(one_time.link_token(*other), *ASKING)
    assert not one_time.matches_code(one_time.code(*other), *ASKING)


def test_what_one_part_ends_with_is_not_what_the_next_begins_with():
    assert one_time.secret_of("reset", "1", ASKED_AT, ALICE) != one_time.secret_of("rese", "t1", ASKED_AT, ALICE)
    assert one_time.secret_of('a", "b', "c", ASKED_AT, ALICE) != one_time.secret_of("a", 'b", "c', ASKED_AT, ALICE)


def test_the_time_counts_as_the_database_keeps_it_and_in_any_zone():
    stored = one_time.secret_of(*ASKING)
    assert one_time.secret_of("reset", "0f" * 16, ASKED_AT.replace(microsecond=567_999), ALICE) == stored
    in_tokyo = ASKED_AT.astimezone(timezone(timedelta(hours=9)))
    assert one_time.secret_of("reset", "0f" * 16, in_tokyo, ALICE) == stored


def test_every_spelling_of_an_address_counts_as_the_address():
    kind, id, at, _ = ASKING
    for one, other in [(ALICE, " Alice@EXAMPLE.com"), ("a@exämple.com", "a@xn--exmple-cua.com")]:
        assert one_time.code(kind, id, at, one) == one_time.code(kind, id, at, other)


def test_a_token_needs_no_escape_and_names_its_id():
    token = one_time.link_token(*ASKING)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)
    assert one_time.id_of(token) == "0f" * 16


@pytest.mark.parametrize("id", ["", "a/b", "a b", "a.b", "ä", "a" * 129, "a\n"])
def test_an_id_that_a_url_cannot_have_is_a_mistake_of_ours(id):
    with pytest.raises(ValueError, match="id"):
        one_time.link_token("reset", id, ASKED_AT, ALICE)


@pytest.mark.parametrize("id", ["", "a b", "a" * 129])
def test_no_token_matches_an_id_that_another_stack_stored(id):
    assert not one_time.matches_token(one_time.link_token(*ASKING), "reset", id, ASKED_AT, ALICE)
    assert not one_time.matches_token(f"{id}.{'A' * 43}", "reset", id, ASKED_AT, ALICE)


@pytest.mark.parametrize(
    "text", ["", ".", "x", "x.y", "é.é", "a." + "b" * 42, "a." + "b" * 44, "a." + "b" * 43 + "\n", "\ud800"]
)
def test_what_is_no_token_has_no_id_and_matches_nothing(text):
    assert one_time.id_of(text) is None
    assert not one_time.matches_token(text, *ASKING)
    assert not one_time.matches_code(text, *ASKING)


def test_a_code_has_eight_digits_and_may_be_typed_in_groups():
    codes = [one_time.code("reset", str(number), ASKED_AT, ALICE) for number in range(400)]
    assert all(re.fullmatch(r"[0-9]{8}", code) for code in codes)
    assert {code[0] for code in codes} == set("0123456789")
    asking = ("reset", "7", ASKED_AT, ALICE)
    for typed in (
        f"{codes[7][:4]} {codes[7][4:]}",
        f" {codes[7][:4]}-{codes[7][4:]}\n",
        f"{codes[7][:4]}\u00a0{codes[7][4:]}",
    ):
        assert one_time.matches_code(typed, *asking)
    assert not one_time.matches_code(codes[7][:7], *asking)
    assert not one_time.matches_code(f"{codes[7]}0", *asking)
    assert not one_time.matches_code("".join(chr(0x660 + int(digit)) for digit in codes[7]), *asking)  # Arabic-Indic


def test_without_the_secret_nothing_can_be_made_of_all_that_is_stored(app, make_app):
    """A dump has kind, id, time and address. The key is derived: services that share the secret have another one."""
    theirs = (one_time.link_token(*ASKING), one_time.code(*ASKING))
    with make_app(JWT_SECRET_KEY="another secret of an attacker who has the dump").app_context():
        assert one_time.link_token(*ASKING) != theirs[0]
        assert one_time.code(*ASKING) != theirs[1]
    with_the_secret = hmac.digest(SECRET.encode(), json.dumps([*ASKING[:2], MILLISECONDS, ALICE]).encode(), "sha256")
    assert with_the_secret != one_time.secret_of(*ASKING)
    stored = json.dumps([*ASKING[:2], ASKED_AT.isoformat(), ALICE])
    assert all(secret not in stored for secret in theirs)
