"""Who signs up with another's address gets neither the account nor a guess too many, and keeps nobody out."""

from tests.api.answers import assert_ok, assert_problem
from tests.conftest import ALICE, PASSWORD, sign_in, state_of
from tests.mail.sink import code_in, token_in
from tests.sign_ups.asking import OWN, WRONG_TOKEN, ask, assert_no_account, confirm, create


def test_a_squatter_gets_nothing(client, deliver, sink):
    """He signs up with Alice's address before she does."""
    ask(client, ALICE, "the squatter's password")
    own = ask(client)
    deliver()
    mail = sink.to(ALICE)[-1]
    assert_no_account(client, ALICE, "the squatter's password")
    assert_ok(confirm(client, signUpId=own, code=code_in(mail)), 201)
    assert_no_account(client, ALICE, "the squatter's password", PASSWORD)
    sign_in(client, ALICE, OWN)


def test_forty_askings_and_guesses_harm_neither_link_nor_code_of_the_owner(client, mailed):
    own, token, code = mailed
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for _ in range(40):
        handle = ask(client)
        assert_problem(confirm(client, signUpId=handle, code=wrong), 403, "code_invalid")
    assert_problem(confirm(client, signUpId=handle, code=code), 403, "code_invalid")
    assert_problem(confirm(client, "short", token=token), 422, "validation_failed", ("/password", "too_short"))
    assert_ok(confirm(client, signUpId=own, code=code), 201)


def test_a_code_has_five_guesses_and_the_link_any_number(client, mailed):
    handle, token, code = mailed
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for _ in range(5):
        assert_problem(confirm(client, signUpId=handle, code=wrong), 403, "code_invalid")
    assert_problem(confirm(client, signUpId=handle, code=code), 403, "code_invalid")
    for _ in range(5):
        assert_problem(confirm(client, token=WRONG_TOKEN), 403, "code_invalid")
    assert_ok(confirm(client, token=token), 201)


def test_a_link_of_a_reset_makes_no_account(app, client, deliver, sink):
    create(app, ALICE)
    assert_ok(client.post("/auth/reset", json={"email": ALICE}), 202)
    deliver()
    token = token_in(sink.only()[1])
    state_of(app).users.delete_many({})
    assert_problem(confirm(client, token=token), 403, "code_invalid")
