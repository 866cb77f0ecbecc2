"""``roles_required`` under flask-jwt-extended's own ``jwt_required``: the same users pass as under ours."""

import flask_jwt_extended
import pytest

from authservice.web.guards import current_session_id, current_user, roles_required
from tests.api.answers import assert_ok, assert_problem, captured_log
from tests.conftest import ALICE, PASSWORD, bearer


@pytest.fixture
def client(app, options):
    """A client of an app with /unguarded, and /editors under flask-jwt-extended's guard with the test's options."""

    @roles_required("editor")
    def editors():
        return {"email": current_user().email, "session": current_session_id()}

    app.add_url_rule("/editors", None, flask_jwt_extended.jwt_required(**options)(editors), methods=["GET", "OPTIONS"])
    app.add_url_rule("/unguarded", "unguarded", editors)
    app.add_url_rule("/anybody", "anybody", flask_jwt_extended.jwt_required(**options)(dict))
    return app.test_client()


@pytest.fixture
def pair(client, database):
    """Alice's tokens; she is an editor."""
    created = client.post("/users", json={"email": ALICE, "password": PASSWORD})
    assert created.status_code == 201
    assert database.users.update_one({}, {"$set": {"roles": ["editor"]}}).modified_count == 1
    return client.post("/auth", json={"email": ALICE, "password": PASSWORD}).get_json()


@pytest.mark.parametrize("options", [{}, {"optional": True}, {"verify_type": False}])
def test_who_has_the_role_passes(client, database, pair):
    with captured_log() as log:
        passed = assert_ok(client.get("/editors", headers=bearer(pair["token"])))
    (session,) = database.users.find_one()["sessions"]
    assert passed == {"email": ALICE, "session": session["id"]}
    assert f'"userId": "{pair["user"]["id"]}"' in log.getvalue()


@pytest.mark.parametrize("options", [{}, {"optional": True}, {"verify_type": False}])
def test_who_lacks_the_role_is_refused(client, database, pair):
    assert database.users.update_one({}, {"$set": {"roles": ["reader"]}}).modified_count == 1
    answer = client.get("/editors", headers=bearer(pair["token"]))
    assert (answer.status_code, answer.get_json()["code"]) == (403, "role_missing")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("options", [{"refresh": True}, {"verify_type": False}])
def test_a_refresh_token_passes_no_guard_at_all(client, pair):
    """The guard does not check whether the token was used before."""
    assert_problem(client.get("/anybody", headers=bearer(pair["refreshToken"])), 401, "token_invalid")


@pytest.mark.parametrize("options", [{}, {"optional": True}, {"refresh": True}, {"fresh": True}])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_nobody_is_told_to_sign_in(client, method):
    assert_problem(client.open("/editors", method=method), 401, "token_missing")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optional": True},
        {"refresh": True},
        {"refresh": True, "optional": True},
        {"fresh": True},
        {"verify_type": False},
    ],
)
def test_a_refresh_token_never_passes_a_role(client, pair):
    assert_problem(client.get("/editors", headers=bearer(pair["refreshToken"])), 401, "token_invalid")


@pytest.mark.parametrize("options", [{"refresh": True}, {"fresh": True}])
def test_an_access_token_passes_neither_where_a_refresh_token_nor_where_a_fresh_one_is_asked_for(client, pair):
    assert_problem(client.get("/editors", headers=bearer(pair["token"])), 401, "token_invalid")


@pytest.mark.parametrize("options", [{}, {"optional": True}])
def test_the_end_of_a_session_counts_on_the_next_request(client, pair):
    token = bearer(pair["token"])
    assert_ok(client.get("/editors", headers=token))
    assert client.delete("/auth", headers=token).status_code == 204
    assert_problem(client.get("/editors", headers=token), 401, "token_invalid")


@pytest.mark.parametrize("options", [{}])
def test_roles_without_any_guard_are_a_fault_that_is_logged(client, pair):
    with captured_log() as log:
        assert_problem(client.get("/unguarded", headers=bearer(pair["token"])), 500, "internal_error")
    assert '"event": "crash"' in log.getvalue()
