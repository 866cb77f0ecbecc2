"""With FLASK_PROOF_OF_WORK the client solves a challenge before it signs up; without it, it loads nothing for that."""

import pytest

from tests.browser.app import create_account, expect_fault, expect_problem, expect_signed_in, expect_signed_out
from tests.browser.conftest import refused
from tests.conftest import ALICE, BOB, RUN, SECRET
from tests.service import Service

DATABASE = f"test_{RUN}_proofs"


@pytest.fixture
def loaded(open_page):
    """``loaded(page)``: the addresses that a page asks for from now on."""

    def watch(page):
        addresses = []
        page.context.on("request", lambda request: addresses.append(request.url.removeprefix(page.url)))
        return addresses

    return watch


class TestOn:
    @pytest.fixture
    def service(self, uri_of, database_client, tmp_path):
        database_client[DATABASE].create_collection("used_proofs")  # by one client: see tests/limits/conftest.py
        service = Service(
            tmp_path / "service.log",
            {
                "FLASK_MONGO_URI": uri_of(DATABASE),
                "FLASK_JWT_SECRET_KEY": SECRET,
                "FLASK_BCRYPT_LOG_ROUNDS": "4",
                "FLASK_PROOF_OF_WORK": "on",
                "WEB_CONCURRENCY": "2",
            },
        )
        service.wait_until_ready("/readyz")
        yield service
        service.stop()
        database_client.drop_database(DATABASE)

    def test_an_account_is_created_under_the_strict_policy(self, open_page, watch, loaded):
        watch.expect(refused(422))  # that is how the client learns that a proof is needed
        page = open_page("/app/")
        addresses = loaded(page)
        create_account(page)
        expect_signed_in(page)
        assert [one for one in addresses if "proof-" in one]
        assert [one for one in addresses if "pbkdf2-" in one]

    def test_faults_of_the_form_are_shown_first_and_each_attempt_has_a_proof_of_its_own(self, open_page, watch, loaded):
        watch.expect(refused(422), refused(409))
        page = open_page("/app/")
        addresses = loaded(page)
        create_account(page, password="short")
        expect_fault(page, "Password", "Use at least 8 characters.")
        assert not [one for one in addresses if "challenge" in one]
        create_account(page, ALICE)
        expect_signed_in(page)
        page.get_by_role("button", name="Log out").click()
        expect_signed_out(page)
        create_account(page, ALICE)
        expect_fault(page, "Email", "An account with this e-mail already exists. Sign in instead.")
        create_account(page, BOB)
        expect_signed_in(page, BOB)

    def test_a_browser_that_cannot_solve_it_is_told_so(self, open_page, watch):
        watch.expect(refused(422))
        page = open_page("/app/")
        page.route("**/users/challenge", lambda route: route.fulfill(json={"parameters": {}, "signature": ""}))
        create_account(page)
        expect_problem(page, "This browser could not solve the puzzle that protects the sign-up.")


def test_where_it_is_off_nothing_is_loaded_for_it(open_page, loaded):
    page = open_page("/app/")
    addresses = loaded(page)
    create_account(page)
    expect_signed_in(page)
    assert not [one for one in addresses if "proof-" in one or "pbkdf2" in one or "challenge" in one]
