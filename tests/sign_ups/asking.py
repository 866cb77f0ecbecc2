"""Private sign-ups as a client sees them."""

from authservice.sign_ups import service
from authservice.store import users
from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD

OWN = "a password of her own"
WRONG_TOKEN = "x." + "A" * 43


def ask(client, email=ALICE, password=PASSWORD, **more):
    answer = client.post("/users", json={"email": email, "password": password}, **more)
    return assert_ok(answer, 202)["signUpId"]


def confirm(client, password=OWN, **given):
    return client.post("/users/confirmation", json={"password": password, **given})


def create(app, email, **fields):
    """An account that exists already."""
    with app.app_context():
        user = service.sign_up(email, PASSWORD)
        if fields:
            users.collection().update_one({"email": email}, {"$set": fields})
    return user


def assert_no_account(client, email=ALICE, *passwords):
    for password in passwords or (PASSWORD, OWN):
        assert_problem(client.post("/auth", json={"email": email, "password": password}), 401, "credentials_invalid")


def told(answer):
    """All that a client sees, less what is another at each request."""
    headers = [(name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Date")]
    body = answer.get_json()
    body.pop("requestId", None)
    if handle := body.pop("signUpId", None):
        body["signUpId"] = len(handle)
    return answer.status, headers, body
