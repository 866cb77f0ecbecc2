"""E-mails are one namespace regardless of case: no stranger can take another spelling of your e-mail."""

import json
import time

import bcrypt
import pytest
from bson import ObjectId
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError

from authservice.store import indexes, lookup
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, bearer, sign_in
from tests.sessions.commands import Commands, heard

VIC = "Vic@Example.com"
SPELLINGS = ["Vic@Example.com", "vic@example.com", "VIC@EXAMPLE.COM", " vIC@example.COM "]
OTHER_PASSWORD = "another horse battery"


def legacy(email, password=PASSWORD, **more):
    """A document as another stack writes it."""
    stored = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return {"_id": ObjectId(), "email": email, "password": stored, "__v": 0, **more}


def sign_up(client, email, password=PASSWORD):
    return client.post("/users", json={"email": email, "password": password})


def try_sign_in(client, email, password=PASSWORD):
    return client.post("/auth", json={"email": email, "password": password})


@pytest.fixture
def users(app):
    def call(*arguments):
        return app.test_cli_runner().invoke(args=["users", *arguments])

    return call


@pytest.fixture
def admin(client, database, alice):
    database.users.update_one({"email": ALICE}, {"$set": {"roles": ["admin"]}})
    return bearer(sign_in(client, ALICE)["token"])


@pytest.fixture
def built(client, database):
    """The collection, with its indexes built before the first write, as under gunicorn."""
    assert_ok(client.get("/readyz"))
    return database.users


class TestAStranger:
    """The attack: sign up with another spelling of the e-mail of a legacy user."""

    @pytest.fixture(params=["before", "after"])
    def vic(self, request, client, database):
        """The id of a legacy user, stored before the indexes are built or while the service runs."""
        document = legacy(VIC)
        if request.param == "before":
            database.users.insert_one(document)
        assert_ok(client.get("/readyz"))
        if request.param == "after":
            database.users.insert_one(document)
        return document

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_signs_up_as_no_spelling_of_it(self, client, database, vic, spelling):
        assert_problem(sign_up(client, spelling, OTHER_PASSWORD), 409, "email_taken")
        assert database.users.count_documents({}) == 1

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_gets_neither_its_email_nor_its_role(self, client, users, vic, spelling):
        sign_up(client, spelling, OTHER_PASSWORD)
        assert_problem(try_sign_in(client, spelling, OTHER_PASSWORD), 401, "credentials_invalid")
        assert users("grant", spelling, "admin").exit_code == 0
        token = bearer(sign_in(client, spelling)["token"])
        verified = client.get("/auth/verify?role=admin", headers=token)
        assert verified.status_code == 204
        assert (verified.headers["X-Auth-User-Id"], verified.headers["X-Auth-Email"]) == (str(vic["_id"]), VIC)


@pytest.mark.parametrize("spelling", [VIC, "vic@example.com", "VIC@EXAMPLE.COM"])
def test_the_other_stack_cannot_take_a_spelling_of_ours(client, built, spelling):
    assert_ok(sign_up(client, "vic@example.com"), 201)
    with pytest.raises(DuplicateKeyError):
        built.insert_one(legacy(spelling))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_sign_in_command_line_and_admin_find_the_one_account_in_any_case(client, users, database, admin, spelling):
    document = legacy(VIC)
    database.users.insert_one(document)
    me = assert_ok(client.get("/users/me", headers=bearer(sign_in(client, spelling)["token"])))
    shown = json.loads(users("show", spelling, "--json").stdout)
    (found,) = assert_ok(client.get("/admin/users", query_string={"email": spelling}, headers=admin))["users"]
    assert {me["id"], shown["id"], found["id"]} == {str(document["_id"])}
    assert {me["email"], shown["email"], found["email"]} == {VIC}


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("vic@xn--mnchen-3ya.de", "vic@m\u00fcnchen.de"),  # as browsers send the content of an e-mail field
        ("Vic@XN--MNCHEN-3YA.de", "vic@M\u00dcNCHEN.de"),
        ("vic@m\u00fcnchen.de", "vic@xn--mnchen-3ya.de"),
        ("cafe\u0301@example.com", "caf\u00e9@example.com"),
        ("caf\u00e9@example.com", "cafe\u0301@example.com"),
        ("cafe\u0301@xn--mnchen-3ya.de", "Caf\u00e9@m\u00fcnchen.de"),
    ],
)
@pytest.mark.parametrize("is_unique", [True, False])
def test_an_international_address_is_one_in_ascii_and_in_unicode(client, users, database, stored, typed, is_unique):
    document = legacy(stored)
    if not is_unique:
        database.users.insert_many([legacy("A@example.com"), legacy("a@example.com")])
    database.users.insert_one(document)
    assert_problem(sign_up(client, typed, OTHER_PASSWORD), 409, "email_taken")
    me = assert_ok(client.get("/users/me", headers=bearer(sign_in(client, typed)["token"])))
    assert me["id"] == json.loads(users("show", typed, "--json").stdout)["id"] == str(document["_id"])


class TestTwoSpellingsOfOneAddress:
    @pytest.fixture(autouse=True)
    def two(self, database):
        two = [legacy(VIC), legacy("vic@example.com", OTHER_PASSWORD)]
        database.users.insert_many(two)
        return [str(document["_id"]) for document in two]

    @pytest.mark.parametrize(
        ("spelling", "password", "number"), [(VIC, PASSWORD, 0), ("vic@example.com", OTHER_PASSWORD, 1)]
    )
    def test_an_exact_one_finds_its_own(self, client, users, admin, two, spelling, password, number):
        token = sign_in(client, f" {spelling} ", password)["token"]
        assert assert_ok(client.get("/users/me", headers=bearer(token)))["id"] == two[number]
        assert json.loads(users("show", spelling, "--json").stdout)["id"] == two[number]
        (found,) = assert_ok(client.get("/admin/users", query_string={"email": spelling}, headers=admin))["users"]
        assert found["id"] == two[number]

    @pytest.mark.parametrize("spelling", ["VIC@example.com", "vic@Example.com"])
    def test_any_other_signs_nobody_in_and_tells_nothing(self, client, spelling):
        told = set()
        for password in (PASSWORD, OTHER_PASSWORD, "wrong"):
            for email in (spelling, "nobody@example.com"):
                answer = try_sign_in(client, email, password)
                problem = assert_problem(answer, 401, "credentials_invalid")
                told.add(answer.text.replace(problem["requestId"], ""))
        assert len(told) == 1

    @pytest.mark.parametrize("spelling", ["VIC@example.com", "vic@Example.com"])
    def test_command_line_and_admin_name_both_ids(self, client, users, admin, database, two, spelling):
        refused = users("grant", spelling, "admin")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.startswith("Error: Several accounts have this e-mail.")
        answer = client.get("/admin/users", query_string={"email": spelling}, headers=admin)
        problem = assert_problem(answer, 409, "email_ambiguous")
        for identity in two:
            assert identity in refused.stderr
            assert identity in problem["detail"]
        assert database.users.count_documents({"email": {"$ne": ALICE}, "roles": "admin"}) == 0

    @pytest.mark.parametrize("spelling", [*SPELLINGS, "vic@Example.com"])
    def test_nobody_signs_up_as_a_third(self, client, database, spelling):
        assert_problem(sign_up(client, spelling), 409, "email_taken")
        assert database.users.count_documents({}) == 2

    def test_everybody_else_signs_up_and_the_index_is_there_if_not_unique(self, client, database):
        assert_ok(sign_up(client, ALICE), 201)
        assert_problem(sign_up(client, ALICE.upper()), 409, "email_taken")
        assert_ok(client.get("/readyz"))
        index = database.users.index_information()["email_any_case"]
        assert not index.get("unique")

    def test_what_the_other_stack_writes_meanwhile_is_taken(self, client, database):
        assert_ok(client.get("/readyz"))
        database.users.insert_one(legacy("Bob@Example.com"))
        assert_problem(sign_up(client, "bob@example.com"), 409, "email_taken")

    def test_the_write_looks_once_more(self, client, database, monkeypatch):
        """Hashing takes long: the other stack may have written since the first check."""
        assert_ok(client.get("/readyz"))
        database.users.insert_one(legacy("Bob@Example.com"))
        monkeypatch.setattr("authservice.sign_ups.service.lookup.find_holder", lambda spellings: None)
        assert_problem(sign_up(client, "bob@example.com"), 409, "email_taken")


def test_of_very_many_spellings_an_exact_one_still_finds_its_own(client, users, database):
    local = "abcdef"
    spellings = [
        "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate(local))
        for number in range(64)
    ]
    documents = [{**legacy(f"{spelling}@x"), "password": "x"} for spelling in spellings[:40]]
    documents[-1] = legacy(f"{spellings[39]}@x")
    database.users.insert_many(documents)
    assert_ok(client.get("/readyz"))
    for document in documents:
        shown = users("show", document["email"], "--json")
        assert json.loads(shown.stdout)["id"] == str(document["_id"])
    sign_in(client, documents[-1]["email"])
    assert users("show", f"{spellings[63]}@x").stderr.startswith("Error: Several accounts have this e-mail.")


def test_two_documents_of_the_same_email_are_nobody_and_the_command_line_says_which(client, users, database):
    """No password and no role may go to the document that the database happens to return first."""
    database.users.insert_many(two := [legacy(ALICE), legacy(ALICE, OTHER_PASSWORD)])
    for password in (PASSWORD, OTHER_PASSWORD):
        assert_problem(try_sign_in(client, ALICE, password), 401, "credentials_invalid")
    refused = users("grant", ALICE, "admin")
    assert refused.exit_code == 1
    assert all(str(document["_id"]) in refused.stderr for document in two)


# Pairs that one collation or another takes for the same: SecantusDB those that Python's casefold equates, MongoDB
# (ICU, strength 2) those of the second list too.
FOLDED = [
    ("stra\u00dfe@example.com", "strasse@example.com"),
    ("\ufb01na@example.com", "fina@example.com"),
    ("\u03bf\u03b4\u03bf\u03c3@example.com", "\u03bf\u03b4\u03bf\u03c2@example.com"),
    ("\u017fam@example.com", "sam@example.com"),
    ("\u1e9eam@example.com", "ssam@example.com"),
]
ICU_ALONE = [
    ("\uff56ic@example.com", "vic@example.com"),
    ("vi\u00adc@example.com", "vic@example.com"),
    ("vi\u200bc@example.com", "vic@example.com"),
    ("v\u2170c@example.com", "vic@example.com"),
    ("\u2460@example.com", "1@example.com"),
    ("\u30a2@example.com", "\u3042@example.com"),
    ("vi\x01c@example.com", "vic@example.com"),
]
NEITHER = [("\u00e9@example.com", "e@example.com"), ("\u0131@example.com", "i@example.com")]


@pytest.mark.parametrize(("one", "other"), FOLDED, ids=ascii)
def test_what_the_index_takes_for_the_same_does_not_sign_up(client, built, one, other):
    for stored, asked in ((one, other), (other, one)):
        built.delete_many({})
        built.insert_one(legacy(stored))
        assert_problem(sign_up(client, asked), 409, "email_taken")
        assert built.count_documents({}) == 1


@pytest.mark.parametrize(("one", "other"), [*FOLDED, *ICU_ALONE, *NEITHER], ids=ascii)
def test_nobody_is_anybody_who_differs_in_more_than_case(client, users, built, admin, one, other):
    """Even if the collation says that they are the same."""
    for stored, asked in ((one, other), (other, one)):
        built.delete_many({"email": {"$ne": ALICE}})
        built.insert_one(legacy(stored))
        sign_in(client, stored)
        assert_problem(try_sign_in(client, asked), 401, "credentials_invalid")
        assert users("grant", asked, "admin").stderr.startswith("Error: No such user.")
        found = assert_ok(client.get("/admin/users", query_string={"email": asked}, headers=admin))
        assert found["users"] == []


@pytest.mark.parametrize(("one", "other"), [*ICU_ALONE[:1], *ICU_ALONE[3:5]], ids=ascii)
def test_a_collation_that_takes_more_for_the_same_forbids_to_sign_up_and_nothing_else(
    client, users, database, monkeypatch, one, other
):
    """MongoDB's collation does that. At strength 1 the embedded server does it too."""
    mongodbs = Collation("en", strength=1)
    for module in (indexes, lookup):
        monkeypatch.setattr(module, "ANY_CASE", mongodbs)
    monkeypatch.setitem(indexes._SAME_AS_ANY_CASE, "strength", 1)
    database.users.insert_one(legacy(one))
    assert_ok(client.get("/readyz"))
    with pytest.raises(DuplicateKeyError):
        database.users.insert_one(legacy(other))
    assert_problem(sign_up(client, other), 409, "email_taken")
    assert_problem(try_sign_in(client, other), 401, "credentials_invalid")
    assert users("show", other).stderr.startswith("Error: No such user.")
    sign_in(client, one)


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("Ren\u00e9@example.com", "REN\u00c9@EXAMPLE.COM"),
        ("\u1e9eam@example.com", "\u00dfam@example.com"),
        ("\u0416\u0423\u041a@example.com", "\u0436\u0443\u043a@example.com"),
        ("Vic@B\u00dcCHER.example.com", "vic@xn--bcher-kva.example.com"),
    ],
    ids=ascii,
)
def test_letters_beyond_ascii_have_cases_too(client, built, stored, typed):
    built.insert_one(legacy(stored))
    sign_in(client, typed)


class TestTheLookup:
    @pytest.fixture(autouse=True)
    def commands(self):
        with heard(Commands()) as commands:
            yield commands

    @pytest.mark.parametrize("email", [VIC, "vic@example.com", "nobody@example.com", "twice@Example.com"])
    def test_is_one_read_by_the_index_whoever_is_asked_for(self, client, database, commands, email):
        database.users.insert_many([legacy(VIC), legacy("Twice@example.com"), legacy("twice@example.com")])
        assert_ok(client.get("/readyz"))
        commands.seen.clear()
        assert_problem(try_sign_in(client, email, "wrong"), 401, "credentials_invalid")
        (command,) = commands.seen
        assert (command["find"], command["collation"]) == ("users", {"locale": "en", "strength": 2})
        plan = database.command(
            "explain", {key: command[key] for key in ("find", "filter", "collation")}, verbosity="queryPlanner"
        )
        assert 'IXSCAN"' in json.dumps(plan["queryPlanner"]["winningPlan"], default=str)
        assert "email_any_case" in json.dumps(plan["queryPlanner"]["winningPlan"], default=str)

    def test_takes_the_same_time_whoever_is_asked_for(self, app, client, database):
        database.users.insert_many([{"email": f"User{number}@example.com"} for number in range(200)])
        database.users.insert_many([legacy("Twice@example.com"), legacy("twice@example.com")])
        assert_ok(client.get("/readyz"))
        names = ["User7@example.com", "user7@example.com", "nobody@example.com", "TWICE@example.com"]
        times = {name: [] for name in names}
        with app.app_context():
            for _ in range(60):
                for name in names:
                    started = time.perf_counter()
                    lookup.find_with_password([name, name.lower()])
                    times[name].append(time.perf_counter() - started)
        fastest = {name: min(one) for name, one in times.items()}  # other load on the machine only adds time
        assert max(fastest.values()) < 2 * min(fastest.values()), fastest
