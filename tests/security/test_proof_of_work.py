"""With PROOF_OF_WORK on, each sign-up costs the solution of one challenge, and each solution is good for one use."""

import base64
import importlib.util
import json
import threading
import time
from collections import Counter

import altcha
import pytest
import requests
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from authservice import AuthService
from authservice.config import ConfigurationError, load
from authservice.embedded.client import BESIDE_USERS
from authservice.security import proof_of_work
from authservice.sign_ups import service
from authservice.store import proofs
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, BOB, CHARLIE, PASSWORD, SECRET, state_of
from tests.service import free_port

INVALID = ("/altcha", "proof_invalid")


@pytest.fixture
def settings(settings, monkeypatch):
    monkeypatch.setattr(proof_of_work, "_KEY_PREFIX", "0")  # solved in milliseconds
    return {**settings, "PROOF_OF_WORK": "on"}


def challenge_of(client):
    return assert_ok(client.get("/users/challenge"))


def solve(challenge):
    found = altcha.Challenge.from_dict(challenge)
    return {"challenge": challenge, "solution": altcha.solve_challenge(found).to_dict()}


def encoded(payload):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return base64.b64encode(text.encode()).decode()


def signed(key, **changes):
    """A challenge of ours with some parameters changed, signed with ``key``."""
    options = {
        "algorithm": "PBKDF2/SHA-256",
        "cost": 1_000,
        "key_prefix": "0",
        "expires_at": int(time.time()) + 600,
        "hmac_secret": key,
    }
    return altcha.create_challenge(**{**options, **changes}).to_dict()


def sign_up(client, email=ALICE, password=PASSWORD, **more):
    return client.post("/users", json={"email": email, "password": password, **more})


def assert_refused(answer, code):
    assert_problem(answer, 422, "validation_failed", ("/altcha", code))


def test_a_solved_challenge_lets_a_sign_up_through(client):
    assert_ok(sign_up(client, altcha=encoded(solve(challenge_of(client)))), 201)


def test_the_challenge_is_as_the_widget_reads_it_and_is_not_cached(client):
    answer = client.get("/users/challenge")
    challenge = assert_ok(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert challenge.keys() == {"parameters", "signature"}
    parameters = challenge["parameters"]
    assert parameters.keys() == {"algorithm", "cost", "keyLength", "keyPrefix", "nonce", "salt", "expiresAt"}
    assert 595 <= parameters["expiresAt"] - time.time() <= 600
    assert challenge_of(client)["parameters"]["nonce"] != parameters["nonce"]


def test_a_sign_up_without_a_proof_is_refused_and_creates_nothing(client, database):
    assert_refused(sign_up(client), "required")
    assert_problem(sign_up(client, altcha=None), 422, "validation_failed", ("/altcha", "wrong_type"))
    assert database.users.count_documents({}) == 0


def test_the_other_fields_are_checked_first_and_spend_no_proof(client):
    assert_problem(sign_up(client, password="short"), 422, "validation_failed", ("/password", "too_short"))
    proof = encoded(solve(challenge_of(client)))
    refused = sign_up(client, password="short", altcha=proof)
    assert_problem(refused, 422, "validation_failed", ("/password", "too_short"))
    assert_ok(sign_up(client, altcha=proof), 201)


def test_a_solution_is_good_for_one_sign_up(client, database):
    proof = encoded(solve(challenge_of(client)))
    assert_ok(sign_up(client, altcha=proof), 201)
    assert_refused(sign_up(client, BOB, altcha=proof), "proof_used")
    assert database.users.count_documents({}) == 1


def test_another_spelling_or_another_solution_of_a_spent_challenge_is_no_new_one(client):
    challenge = challenge_of(client)
    payload = solve(challenge)
    assert_ok(sign_up(client, altcha=encoded(payload)), 201)
    respelled = encoded(json.dumps({"more": 1, **payload}, indent=3))
    assert_refused(sign_up(client, BOB, altcha=respelled), "proof_used")
    after = payload["solution"]["counter"] + 1
    another = altcha.solve_challenge(altcha.Challenge.from_dict(challenge), counter_start=after).to_dict()
    assert_refused(sign_up(client, BOB, altcha=encoded({**payload, "solution": another})), "proof_used")


def test_a_taken_email_spends_the_proof(client):
    """Otherwise one solution would test any number of e-mails."""
    assert_ok(sign_up(client, altcha=encoded(solve(challenge_of(client)))), 201)
    proof = encoded(solve(challenge_of(client)))
    assert_problem(sign_up(client, altcha=proof), 409, "email_taken")
    assert_refused(sign_up(client, BOB, altcha=proof), "proof_used")


def test_a_challenge_expires(client, monkeypatch):
    payload = encoded(solve(challenge_of(client)))
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 605)
    assert_refused(sign_up(client, altcha=payload), "proof_expired")


def test_of_32_parallel_sign_ups_with_one_solution_one_passes_on_two_workers(serve, database, monkeypatch):
    monkeypatch.undo()  # the service is another process, with the real cost
    running = serve(FLASK_PROOF_OF_WORK="on", ready="/readyz")
    proof = encoded(solve(requests.get(f"{running.url}/users/challenge", timeout=10).json()))
    start, answers = threading.Barrier(32), []

    def ask(number):
        start.wait()
        body = {"email": f"user-{number}@example.com", "password": PASSWORD, "altcha": proof}
        answers.append(requests.post(f"{running.url}/users", json=body, timeout=30))

    crowd = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 31}
    codes = {answer.json()["errors"][0]["code"] for answer in answers if answer.status_code == 422}
    assert codes == {"proof_used"}
    assert database.users.count_documents({}) == 1
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 32


def test_a_forged_or_foreign_proof_is_refused(client, app):
    with app.app_context():
        key = proof_of_work._key()
    payload = solve(challenge_of(client))
    parameters, solution = payload["challenge"]["parameters"], payload["solution"]

    def with_parameters(**changes):
        return {**payload, "challenge": {**payload["challenge"], "parameters": {**parameters, **changes}}}

    forged = [
        with_parameters(cost=1),
        with_parameters(cost=2**31),
        with_parameters(cost="1000"),
        with_parameters(cost=None),
        with_parameters(algorithm="SHA-256"),
        with_parameters(algorithm="ARGON2ID", memoryCost=2**31),
        with_parameters(keyPrefix=""),
        with_parameters(keyLength=2**31),
        with_parameters(nonce="00" * 16),
        with_parameters(nonce=["00"]),
        with_parameters(salt="zz"),
        with_parameters(expiresAt=parameters["expiresAt"] + 1),
        with_parameters(expiresAt=None),
        with_parameters(expiresAt="soon"),
        with_parameters(expiresAt=1e300),
        with_parameters(data={"more": 1}),
        {**payload, "solution": {**solution, "counter": solution["counter"] + 2**32}},
        {**payload, "solution": {**solution, "counter": 10**400}},
        {**payload, "solution": {**solution, "counter": -1}},
        {**payload, "solution": {**solution, "counter": True}},
        {**payload, "solution": {**solution, "counter": "1"}},
        {**payload, "solution": {**solution, "derivedKey": "00" * 32}},
        {**payload, "solution": {**solution, "derivedKey": 0}},
        {**payload, "challenge": {"parameters": parameters}},
        {**payload, "challenge": {"parameters": parameters, "signature": 7}},
        {"challenge": payload["challenge"]},
        {"solution": solution},
        solve(signed(SECRET)),
        solve(signed("another secret")),
        solve(signed(key, cost=1)),  # of an earlier version of the service, whose challenges were cheaper
        solve(signed(key, key_prefix="")),
        solve(signed(key, algorithm="SHA-256")),
        solve(signed(key, expires_at=None)),
        [],
        None,
        "",
        "{",
        "[" * 9_000,
        '{"challenge": 1, "challenge": 2}',
    ]
    for one in forged:
        assert_problem(sign_up(client, altcha=encoded(one)), 422, "validation_failed", INVALID)
    for text in ("", "=", "not base64!", "\u00e9", "A" * 12_000):
        assert_problem(sign_up(client, altcha=text), 422, "validation_failed", INVALID)
    assert_ok(sign_up(client, altcha=encoded(payload)), 201)


def test_a_forged_proof_causes_neither_work_nor_a_question_to_the_database(client, monkeypatch):
    payload = solve(challenge_of(client))
    monkeypatch.setattr(altcha.v2, "derive_key_pbkdf2", lambda *_: pytest.fail("work was done"))
    monkeypatch.setattr(proofs, "use_proof", lambda *_: pytest.fail("the database was asked"))
    for changes in ({"cost": 10**9}, {"keyLength": 10**9}, {"salt": "00" * 16}, {"algorithm": "SCRYPT"}):
        parameters = {**payload["challenge"]["parameters"], **changes}
        forged = {**payload, "challenge": {**payload["challenge"], "parameters": parameters}}
        assert_refused(sign_up(client, altcha=encoded(forged)), "proof_invalid")


def test_numbers_that_equal_ours_in_another_type_are_no_crash(client):
    """For JSON 1000.0 is 1000, and both have the same signature."""
    payload = solve(challenge_of(client))
    parameters = payload["challenge"]["parameters"]
    other = {name: float(value) if isinstance(value, int) else value for name, value in parameters.items()}
    respelled = {**payload, "challenge": {**payload["challenge"], "parameters": other}}
    assert_ok(sign_up(client, altcha=encoded(respelled)), 201)


def test_the_key_is_neither_the_secret_nor_the_key_of_the_refresh_tokens(app):
    with app.app_context():
        key, tokens = proof_of_work._key(), state_of(app).tokens
    assert len(key) == 32
    assert key not in (SECRET.encode(), tokens.refresh_key)


def test_used_proofs_are_deleted_after_their_challenge_has_expired(client, database):
    challenge = challenge_of(client)
    assert_ok(sign_up(client, altcha=encoded(solve(challenge))), 201)
    (document,) = database[proofs.NAME].find()
    assert document["expireAt"].timestamp() > challenge["parameters"]["expiresAt"]
    indexes = database[proofs.NAME].index_information().values()
    assert [index["key"] for index in indexes if index.get("expireAfterSeconds") == 0] == [[("expireAt", 1)]]


def test_without_the_database_no_proof_passes_and_none_is_called_used(make_app, monkeypatch):
    uri = f"mongodb://127.0.0.1:{free_port()}/authexample?directConnection=true"
    client = make_app(MONGO_URI=uri, MONGO_TIMEOUT_MS=300).test_client()
    assert_refused(sign_up(client), "required")  # found out without the database
    proof = encoded(solve(challenge_of(client)))
    for _ in range(2):
        assert_problem(sign_up(client, altcha=proof), 503, "database_unavailable")


def test_the_route_is_described_where_it_is_served(client):
    description = assert_ok(client.get("/openapi.json"))
    OpenAPIV31SpecValidator(description).validate()
    operation = description["paths"]["/users/challenge"]["get"]
    assert (operation["operationId"], operation["security"]) == ("issueChallenge", [])


class TestOff:
    @pytest.fixture
    def settings(self, settings):
        return {name: value for name, value in settings.items() if name != "PROOF_OF_WORK"}

    def test_it_is_off_unless_the_settings_say_otherwise(self, client, database):
        assert_problem(client.get("/users/challenge"), 404, "not_found")
        assert "/users/challenge" not in assert_ok(client.get("/openapi.json"))["paths"]
        assert_ok(sign_up(client), 201)
        assert proofs.NAME not in database.list_collection_names()

    def test_a_front_end_that_sends_a_proof_all_the_same_is_served(self, client):
        assert_ok(sign_up(client, altcha="anything"), 201)


def test_the_command_line_and_use_cases_need_no_proof(app):
    with app.app_context():
        assert service.sign_up(CHARLIE, PASSWORD).email == CHARLIE


def test_it_works_in_an_app_that_embeds_the_service(settings):
    host = Flask("host")
    AuthService(host, url_prefix="/identity", **settings)
    client = host.test_client()
    proof = encoded(solve(assert_ok(client.get("/identity/users/challenge"))))
    body = {"email": ALICE, "password": PASSWORD}
    assert client.post("/identity/users", json=body).status_code == 422
    assert client.post("/identity/users", json={**body, "altcha": proof}).status_code == 201
    state_of(host).client.close()


def test_the_embedded_database_has_the_collection_before_anybody_asks(app):
    assert proofs.NAME in BESIDE_USERS


def test_a_start_without_the_package_is_refused_with_the_command_to_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    good = {"FLASK_MONGO_URI": "mongodb://127.0.0.1/x", "FLASK_JWT_SECRET_KEY": SECRET}
    assert load(good)["PROOF_OF_WORK"] == "off"
    with pytest.raises(ConfigurationError) as refused:
        load({**good, "FLASK_PROOF_OF_WORK": "on"})
    assert refused.value.faults == [
        "FLASK_PROOF_OF_WORK needs a package that is not installed: pip install 'authservice[proof-of-work]'"
    ]


def test_it_is_on_or_off(monkeypatch):
    with pytest.raises(ConfigurationError, match="FLASK_PROOF_OF_WORK must be on or off, not 'yes'"):
        load({"FLASK_PROOF_OF_WORK": "yes"})
