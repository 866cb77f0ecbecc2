"""The write of a step-up meets one living session, the password as checked, and what it spends, or nobody."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from authservice.store import sessions
from authservice.store.spending import Spending
from authservice.store.users import StoredPassword
from tests.conftest import ALICE, BOB, make_account, sign_in

MOMENT = datetime(2026, 12, 1, 2, 3, 4, 567_000, UTC)
TWO_FACTORS = ["pwd", "otp", "mfa"]


@pytest.fixture
def stored(client, alice, database):
    """Alice's document, who has three sessions."""
    sign_in(client, ALICE)
    sign_in(client, ALICE)
    return lambda: database.users.find_one({"email": ALICE})


def authenticate(app, user, session, checked=None, spending=None):
    hashed = StoredPassword(checked or user["password"], is_legacy=False)
    with app.app_context():
        return sessions.authenticate_again(str(user["_id"]), session["id"], hashed, MOMENT, TWO_FACTORS, spending)


def test_it_is_written_into_that_session_only(app, stored):
    before = stored()
    first, second, third = before["sessions"]
    assert authenticate(app, before, second)
    proven = {**second, "authenticatedAt": MOMENT, "amr": TWO_FACTORS}
    assert stored() == {**before, "sessions": [first, proven, third]}
    assert authenticate(app, before, second)  # the same once more is no refusal
    assert authenticate(app, stored(), third)


@pytest.mark.parametrize(
    "change",
    [
        {"password": "$2b$04$" + "x" * 53},
        {"disabledAt": MOMENT},
        {"sessions": []},
        {"sessions.1.id": "0" * 32},
        {"sessions.1.expiresAt": MOMENT},
        {"sessions.1.expiresAt": MOMENT - timedelta(days=1)},
    ],
)
def test_what_has_changed_since_it_was_checked_refuses(app, database, stored, change):
    checked = stored()
    assert database.users.update_one({"email": ALICE}, {"$set": change}).modified_count == 1
    before = stored()
    assert not authenticate(app, before, checked["sessions"][1], checked["password"])
    assert stored() == before


def test_it_spends_in_the_same_write_or_refuses(app, database, stored):
    database.users.update_one({"email": ALICE}, {"$set": {"twoStep": {"recoveryCodes": ["one", "two"]}}})
    before = stored()
    spending = Spending({"twoStep.recoveryCodes": "two"}, {"$pull": {"twoStep.recoveryCodes": "two"}})
    assert authenticate(app, before, before["sessions"][2], spending=spending)
    after = stored()
    assert after["twoStep"] == {"recoveryCodes": ["one"]}
    assert [session["amr"] for session in after["sessions"]] == [["pwd"], ["pwd"], TWO_FACTORS]
    assert not authenticate(app, before, before["sessions"][0], spending=spending)
    assert stored() == after


def test_nobody_elses_session_is_met(app, client, database, stored):
    make_account(client, BOB)
    sign_in(client, BOB)
    alice, bob = stored(), database.users.find_one({"email": BOB})
    assert not authenticate(app, alice, bob["sessions"][0])
    assert not authenticate(app, {**alice, "_id": ObjectId()}, alice["sessions"][0])
    assert database.users.find_one({"email": BOB}) == bob
