"""What a real browser makes of the options of passkeys, on plain pages, with the virtual authenticator of Chromium."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.browser import needs
from tests.browser.conftest import AUTHENTICATOR
from tests.conftest import ALICE, BOB, PASSWORD, SECRET, bearer
from tests.service import ROOT, Service, free_port

needs.packages()

from playwright.sync_api import Error  # noqa: E402

PLAIN = "<!doctype html><title>plain</title><link rel='icon' href='data:,'><input autocomplete='username webauthn'>"
CREATE = """async (options) => (await navigator.credentials.create(
    {publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)})).toJSON()"""
GET = """async ([options, more]) => (await navigator.credentials.get(
    {...more, publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})).toJSON()"""
FORGET = "(credentialId) => PublicKeyCredential.signalUnknownCredential({rpId: 'localhost', credentialId})"


@pytest.fixture(scope="module")
def service(uri_of, module_database, tmp_path_factory):
    port = free_port()
    service = Service(
        tmp_path_factory.mktemp("webauthn") / "service.log",
        {
            "FLASK_MONGO_URI": uri_of(module_database.name),
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "FLASK_PASSKEY_RP_ID": "localhost",
            "FLASK_PASSKEY_ORIGINS": f"http://localhost:{port}",
        },
        port=port,
    )
    service.wait_until_ready()
    yield service
    service.stop()


class Person:
    """An account with a browser and its authenticator, on a page of the service's origin."""

    def __init__(self, service, context, email):
        self.service, self.email = service, email
        assert self.call("POST", "/users", {"email": email, "password": PASSWORD}).status_code == 201
        self.headers = bearer(self.call("POST", "/auth", {"email": email, "password": PASSWORD}).json()["token"])
        self.page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.cdp = context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable", {"enableUI": False})
        added = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self.authenticator = {"authenticatorId": added["authenticatorId"]}
        self.open(f"http://localhost:{service.port}")

    def open(self, origin, html=PLAIN):
        """A page of any origin; nothing is asked of the network for it."""
        url = f"{origin}/plain"
        self.page.route(url, lambda route: route.fulfill(content_type="text/html", body=html))
        self.page.goto(url)

    def call(self, method, path, body=None, headers=None):
        return requests.request(method, self.service.url + path, json=body, headers=headers, timeout=30)

    def own(self, method, path, body=None):
        return self.call(method, path, body, self.headers)

    def create(self):
        return self.page.evaluate(CREATE, self.own("POST", "/users/me/passkeys/options", {}).json())

    def add(self):
        added = self.own("POST", "/users/me/passkeys", {"credential": self.create()})
        assert added.status_code == 201, added.text
        return added.json()

    def get(self, frame=None, **more):
        return (frame or self.page).evaluate(GET, [self.call("POST", "/auth/passkey/options", {}).json(), more])

    def enter(self, credential):
        answer = self.call("POST", "/auth/passkey", {"credential": credential})
        assert answer.status_code in (200, 401), answer.text
        return answer

    def kept(self):
        """What the authenticator has."""
        return self.cdp.send("WebAuthn.getCredentials", self.authenticator)["credentials"]


@pytest.fixture
def join(service, module_database, new_context):
    """``join(email)``: somebody with a browser."""
    module_database.users.delete_many({})
    return lambda email: Person(service, new_context(), email)


@pytest.fixture
def alice(join):
    return join(ALICE)


def test_a_passkey_is_registered_and_signs_in(alice):
    added = alice.add()
    (kept,) = alice.kept()
    assert (kept["isResidentCredential"], kept["rpId"], kept["userName"]) == (True, "localhost", ALICE)
    assert (added["transports"], added["isSynced"]) == (["internal"], False)
    first = alice.enter(alice.get())
    assert first.json()["user"]["email"] == ALICE
    assert alice.enter(alice.get()).status_code == 200
    assert alice.enter(alice.get(mediation="conditional")).status_code == 200


def test_the_script_of_the_readme_signs_in(alice):
    alice.add()
    section = (ROOT / "README.md").read_text().split("\n### Passkeys\n", 1)[1]
    script = section.split("```js\n", 1)[1].split("```", 1)[0]
    token = alice.page.evaluate(f"async () => {{ {script} return token; }}")
    assert alice.call("GET", "/users/me", headers=bearer(token)).json()["email"] == ALICE


def test_a_synced_one_signs_in(alice):
    flags = {"defaultBackupEligibility": True, "defaultBackupState": True}
    alice.cdp.send("WebAuthn.removeVirtualAuthenticator", alice.authenticator)
    alice.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**AUTHENTICATOR, **flags}})
    assert alice.add()["isSynced"] is True
    assert alice.enter(alice.get()).status_code == 200


def test_a_browser_makes_no_second_one(alice):
    alice.add()
    with pytest.raises(Error, match="InvalidStateError"):
        alice.create()


def test_an_answer_counts_once_also_at_once(alice):
    alice.add()
    with ThreadPoolExecutor(8) as threads:
        for _ in range(2):
            answers = threads.map(alice.enter, [alice.get()] * 8)
            assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


def test_a_page_of_another_port_has_the_domain_but_not_the_origin(alice):
    alice.add()
    alice.open(f"http://localhost:{free_port()}")
    answer = alice.get()
    assert alice.enter(answer).json()["code"] == "credentials_invalid"


def test_an_address_is_no_domain(alice):
    alice.open(f"http://127.0.0.1:{alice.service.port}")
    with pytest.raises(Error, match="SecurityError"):
        alice.get()


def test_a_frame_in_another_site_is_refused(alice):
    alice.add()
    frame = f"<iframe allow='publickey-credentials-get *' src='http://localhost:{alice.service.port}/plain'></iframe>"
    alice.open("http://127.0.0.1:1", frame)
    framed = alice.page.frames[1]
    framed.wait_for_load_state()
    answer = alice.get(framed)
    assert alice.enter(answer).json()["code"] == "credentials_invalid"
    alice.open(f"http://localhost:{alice.service.port}")
    assert alice.enter(alice.get()).status_code == 200


def test_nobody_signs_in_without_proving_to_the_device_who_it_is(alice):
    alice.add()
    alice.cdp.send("WebAuthn.setUserVerified", {**alice.authenticator, "isUserVerified": False})
    with pytest.raises(Error, match="NotAllowedError"):
        alice.get()
    options = {**alice.call("POST", "/auth/passkey/options", {}).json(), "userVerification": "discouraged"}
    assert alice.enter(alice.page.evaluate(GET, [options, {}])).status_code == 401


def test_the_passkey_of_a_deleted_account_is_refused_and_can_be_forgotten(alice):
    added = alice.add()
    assert alice.own("DELETE", "/users/me", {"currentPassword": PASSWORD}).status_code == 204
    assert alice.enter(alice.get()).status_code == 401
    alice.page.evaluate(FORGET, added["id"])
    while alice.kept():  # the browser does it in its own time
        alice.page.wait_for_timeout(50)


def test_bobs_passkey_does_not_step_up_alices_session(join, alice):
    alice.add()
    bob = join(BOB)
    bob.add()
    answer = alice.own("POST", "/auth/step-up", {"passkey": bob.get()})
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor_wrong")
    assert alice.own("POST", "/auth/step-up", {"passkey": alice.get()}).status_code == 200
    assert bob.own("POST", "/auth/step-up", {"passkey": bob.get()}).status_code == 200
