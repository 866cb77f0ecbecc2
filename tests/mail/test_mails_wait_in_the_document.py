"""Mails ride in the user's document: bounded, claimed by one deliverer at a time, apart from lists of other apps."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from bson import ObjectId

from authservice.store import indexes, mails, users
from authservice.store.clock import now
from authservice.store.mails import Mail
from tests.conftest import ALICE, BOB

GRAVE, LIGHT = 2, 0


@pytest.fixture(autouse=True)
def context(app):
    with app.app_context():
        indexes.ensure_indexes()
        yield


def mail(id, rank=LIGHT, **other):
    return Mail(id=id, kind="verification", rank=rank, to=ALICE, at=now(), **other)


def push(database, *pushed, email=ALICE):
    update = {"$push": mails.pushed(*pushed)}
    return database.users.update_one({"email": email}, update, upsert=True)


def ids(database):
    return [entry["id"] for entry in database.users.find_one({"email": ALICE})["mails"]]


def test_a_mail_is_claimed_once_and_acknowledged(database):
    push(database, mail("a", facts={"device": "Firefox"}))
    claim = mails.claim_next()
    assert claim is not None
    assert (claim.mail.id, claim.mail.to, claim.mail.facts, claim.mail.tries) == ("a", ALICE, {"device": "Firefox"}, 1)
    assert claim.recipient.email == ALICE
    assert mails.claim_next() is None
    assert mails.acknowledge(claim)
    assert not mails.acknowledge(claim)
    assert ids(database) == []


def test_of_many_deliverers_one_gets_each_mail(app, database):
    for number in range(60):
        push(database, mail(f"m{number}"), email=f"u{number}@example.com")

    def claim_all(_):
        got = []
        with app.app_context():
            while database.users.find_one({"mails.claim": None, "mails.0": {"$exists": True}}):
                if claim := mails.claim_next():
                    got.append(claim.mail.id)
        return got

    with ThreadPoolExecutor(4) as threads:
        claimed = [id for got in threads.map(claim_all, range(4)) for id in got]
    assert sorted(claimed) == sorted(f"m{number}" for number in range(60))


def test_when_the_lease_ends_another_deliverer_has_the_mail(database):
    push(database, mail("a"))
    first = mails.claim_next()
    (entry,) = database.users.find_one({"email": ALICE})["mails"]
    assert timedelta(seconds=110) < entry["due"] - now() <= timedelta(seconds=120)
    database.users.update_one({"email": ALICE}, {"$set": {"mails.0.due": now()}})
    second = mails.claim_next()
    assert second is not None
    assert second.mail.tries == 2
    mails.postpone(first, now())  # it comes too late
    assert not mails.acknowledge(first)
    assert ids(database) == ["a"]
    assert mails.claim_next() is None
    assert mails.acknowledge(second)


def test_what_is_postponed_is_due_later_with_the_same_content(database):
    push(database, mail("a"))
    claim = mails.claim_next()
    mails.postpone(claim, now() + timedelta(minutes=1))
    assert mails.claim_next() is None
    assert mails.retry(str(database.users.find_one()["_id"]), "a")
    again = mails.claim_next()
    assert again is not None
    assert (again.mail.id, again.mail.at, again.mail.tries) == ("a", claim.mail.at, 2)
    mails.postpone(again, now(), counts=False)
    assert mails.claim_next().mail.tries == 2


def test_nothing_is_retried_while_it_is_being_sent(database):
    push(database, mail("a"))
    claim = mails.claim_next()
    assert not mails.retry(claim.recipient.user_id, "a")
    assert not mails.retry(claim.recipient.user_id, "another")
    assert mails.claim_next() is None


def test_a_flood_pushes_no_graver_mail_out_and_of_equals_the_first_stay(database):
    push(database, mail("notice", GRAVE))
    for number in range(100):
        push(database, mail(f"flood{number}"))
    assert ids(database)[:3] == ["notice", "flood0", "flood1"]
    assert len(ids(database)) == mails._MAILS_MAX
    push(database, mail("late notice", GRAVE))
    assert ids(database)[:3] == ["notice", "late notice", "flood0"]
    assert len(ids(database)) == mails._MAILS_MAX


@pytest.mark.parametrize(
    "theirs",
    [
        [{"due": "tomorrow", "subject": "Hello"}],
        [{"id": "a", "due": now() - timedelta(days=1)}],
        [{"id": "a", "due": now() - timedelta(days=1), "tries": 0, "rank": 0, "to": 7}],
        ["a", 7, None, [1]],
        [],
    ],
)
def test_the_list_of_another_app_is_passed_over(database, theirs):
    database.users.insert_one({"email": BOB, "mails": theirs})
    assert mails.claim_next() is None
    assert mails.waiting(10) == []
    push(database, mail("a"), email=BOB)
    claim = mails.claim_next()
    assert claim is not None
    assert mails.acknowledge(claim)
    assert [one for one in database.users.find_one()["mails"] if one not in theirs] == []
    assert len(database.users.find_one()["mails"]) == len(theirs)


def test_many_lists_of_another_app_hold_no_mail_up(database):
    theirs = [
        {"_id": ObjectId(), "email": f"u{n}@example.com", "mails": [{"due": now() - timedelta(days=9)}]}
        for n in range(99)
    ]
    database.users.insert_many(theirs)
    push(database, mail("a"))
    assert mails.claim_next().mail.id == "a"


@pytest.mark.parametrize("theirs", [{"newsletter": True}, "none", 7])
def test_what_is_no_list_makes_room(database, theirs):
    user = database.users.insert_one({"email": ALICE, "mails": theirs}).inserted_id
    assert mails.claim_next() is None
    for id in ("a", "b"):
        assert users.update_lists({"_id": user}, {"$push": mails.pushed(mail(id))})
    assert ids(database) == ["a", "b"]


def test_the_user_is_read_after_the_claim(database):
    user = {
        "email": BOB,
        "disabledAt": now(),
        "language": "de",
        "emailVerifiedAt": now(),
        "emailChange": {"asking": "a change"},
    }
    push(database, mail("a"))
    database.users.update_one({}, {"$set": user})
    seen = mails.claim_next().recipient
    assert (seen.email, seen.language, seen.change_asking) == (BOB, "de", "a change")
    assert seen.is_disabled
    assert seen.is_verified


@pytest.mark.parametrize(
    "odd", [{"id": 7}, {"kind": None}, {"facts": "x"}, {"at": "today"}, {"tries": 0.5}, {"rank": 1.5}]
)
def test_many_users_with_mails_of_another_stack_hide_nobody_elses(database, odd):
    theirs = {**mails._entry(mail("x")), "due": now() - timedelta(days=1), **odd}
    database.users.insert_many([{"email": f"{number}@example.com", "mails": [theirs]} for number in range(25)])
    database.users.insert_one({"_id": "text", "email": BOB, "mails": [mails._entry(mail("y"))]})
    push(database, mail("a"))
    assert mails.claim_next().mail.id == "a"
    assert mails.claim_next() is None


def test_what_waits_is_counted_and_listed(database):
    assert mails.count_waiting() == (0, None)
    push(database, mail("a"), mail("b", due=now() + timedelta(hours=1)))
    push(database, mail("c"), email=BOB)
    number, oldest = mails.count_waiting()
    assert (number, oldest) == (3, database.users.find_one({"email": ALICE})["mails"][0]["at"])
    assert [one.id for _, one in mails.waiting(10)] == ["a", "c", "b"]


def test_claims_read_by_an_index_of_those_who_wait(database):
    assert database.users.index_information()["mails_due"]["sparse"]
    due = mails._with_mails({"$lte": now()})["mails.due"]
    plan = str(database.users.find({"mails.due": due}).explain()["queryPlanner"]["winningPlan"])
    assert "mails_due" in plan
