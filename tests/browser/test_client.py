"""The Ionic client: the tutorial's four actions, sessions, and a sentence for every refusal."""

import pytest

from tests.browser.app import (
    create_account,
    enter,
    expect,
    expect_fault,
    expect_problem,
    expect_signed_in,
    expect_signed_out,
    expect_status,
    field,
    let_access_token_expire,
    make_account,
    sign_in,
    try_route,
)
from tests.browser.conftest import AWAY, refused
from tests.conftest import ALICE, BOB, PASSWORD
from tests.service import free_port

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604"
NEW_PASSWORD = "a different horse entirely"
COMMON = "Choose another password: this one is among the most common ones."
CONTEXT = "Choose another password: this one is little more than your e-mail address or the name of this service."


def test_the_tutorials_walk(open_page, service, watch):
    page = open_page("/app/")
    create_account(page)
    expect_signed_in(page)
    expect_status(page, "")
    expect(page.get_by_text("This browser cannot use them at this address.")).to_be_visible()  # 127.0.0.1 is no domain
    try_route(page)
    expect_status(page, "You did it!")
    with page.expect_response("**/users/test") as seen:
        try_route(page)
    authorization = seen.value.request.headers["authorization"]

    page.get_by_role("button", name="Log out").click()
    expect_signed_out(page)
    expect_status(page, "Logged out.")
    page.wait_for_load_state("networkidle")
    assert [cookie["name"] for cookie in page.context.cookies()] == ["__Host-device"]
    answer = page.request.get(f"{service.url}/users/test", headers={"Authorization": authorization})
    assert (answer.status, answer.json()["code"]) == (401, "token_invalid")


def test_the_keyboard_is_enough(open_page):
    page = open_page("/app/")
    page.locator("ion-segment-button", has_text="Create account").click()
    field(page, "Email").fill(ALICE)
    page.keyboard.press("Tab")
    expect(field(page, "Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect_signed_in(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_status(page, "You did it!")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_status(page, "Logged out.")
    expect(field(page, "Email")).to_be_focused()


def test_a_reload_keeps_the_session_and_no_script_can_read_a_token(open_page):
    page = open_page("/app/")
    enter(page)
    page.reload()
    expect_signed_in(page)
    expect_status(page, "")
    try_route(page)
    expect_status(page, "You did it!")

    cookies = page.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"__Host-refresh", "__Host-device"}
    for cookie in cookies:
        kept = (cookie["path"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"])
        assert kept == ("/", True, True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("[{...localStorage}, {...sessionStorage}]") == [{"authservice.session": "may-exist"}, {}]


def test_two_tabs_with_an_expired_access_token_both_go_on_working(open_page, service, watch):
    watch.expect(refused(401))
    first = open_page("/app/")
    enter(first)
    second = open_page("/app/", first.context)
    expect_signed_in(second)
    refreshes = []
    first.context.on("response", lambda answer: refreshes.append(answer.status) if "refresh" in answer.url else None)
    for _ in range(5):
        for tab in (first, second):
            let_access_token_expire(tab)
        for tab in (first, second):
            tab.evaluate("document.getElementById('test').click()")  # immediately; Playwright's own click waits
        for tab in (first, second):
            expect_status(tab, "You did it!")
            tab.evaluate("document.getElementById('status').textContent = ''")
    assert refreshes == [200] * 10
    assert "reused" not in service.output()


def test_logging_out_in_one_tab_logs_out_the_other(open_page):
    first = open_page("/app/")
    enter(first)
    second = open_page("/app/", first.context)
    expect_signed_in(second)
    first.get_by_role("button", name="Log out").click()
    expect_signed_out(first)
    expect_signed_out(second)
    expect_status(second, "Logged out in another tab.")
    second.reload()
    expect_signed_out(second)


def test_a_tab_follows_when_somebody_else_signs_in_in_another(open_page):
    first = open_page("/app/")
    enter(first)
    first.get_by_role("button", name="Log out").click()
    expect_signed_out(first)
    second = open_page("/app/", first.context)
    enter(second, BOB)
    expect_signed_in(first, BOB)
    expect_status(first, "Signed in in another tab.")


def test_what_one_user_asked_is_never_done_as_another(open_page, service, watch):
    """A tab that missed the change holds Alice's access token, but the cookie that would renew it is Bob's."""
    watch.expect(refused(401))
    page = open_page("/app/")
    enter(page)
    made = page.request.post(f"{service.url}/users", data={"email": BOB, "password": PASSWORD})
    assert made.status == 201
    page.evaluate(
        """async ([email, password]) => fetch('/auth', {method: 'POST', body: JSON.stringify({email, password,
        cookie: true}), headers: {'Content-Type': 'application/json', 'X-Requested-With': 'test'}})""",
        [BOB, PASSWORD],
    )
    let_access_token_expire(page)
    answers = []
    page.on("response", lambda answer: answers.append(answer.status) if "/users/test" in answer.url else None)
    try_route(page)
    expect_signed_in(page, BOB)
    assert answers == [401]


def test_a_refresh_that_answers_after_the_log_out_is_dropped(open_page, watch):
    watch.expect(refused(401), AWAY)
    page = open_page("/app/")
    enter(page)
    held = []
    page.route("**/auth/refresh", lambda route: held.append(route), times=1)
    let_access_token_expire(page)
    with page.expect_request("**/auth/refresh"):
        try_route(page)
    page.get_by_role("button", name="Log out").click()
    expect_signed_out(page)
    page.wait_for_load_state("networkidle")
    held[0].continue_()
    page.wait_for_timeout(300)
    expect_signed_out(page)
    expect_status(page, "Logged out.")
    page.reload()
    expect_signed_out(page)


def test_an_account_whose_first_sign_in_fails_is_there(open_page, watch):
    watch.expect(AWAY)
    page = open_page("/app/")
    page.route("**/auth", lambda route: route.abort("connectionrefused"), times=1)
    create_account(page)
    expect_status(page, "Your account is created. Sign in to go on.")
    page.get_by_role("button", name="Sign in").click()
    expect_signed_in(page)


@pytest.mark.parametrize("width", [320, 1100])
def test_no_message_moves_what_is_below(open_page, watch, width):
    watch.expect(AWAY, refused(401), refused(422))
    page = open_page("/app/", viewport={"width": width, "height": 700})
    button = page.get_by_role("button", name="Sign in")
    expect(button).to_be_visible()
    at_rest = button.bounding_box()
    sign_in(page)
    expect_problem(page, "No enabled account has this e-mail and password.")
    assert button.bounding_box() == at_rest
    sign_in(page, ALICE, "")
    expect_fault(page, "Password", "Send a password.")
    assert button.bounding_box() == at_rest
    page.context.set_offline(True)
    sign_in(page)
    expect_problem(page, "The service does not answer. Check your connection and try again.")
    assert button.bounding_box() == at_rest
    page.context.set_offline(False)
    enter(page)
    who = page.locator("#who").bounding_box()
    try_route(page)
    expect_status(page, "You did it!")
    assert page.locator("#who").bounding_box() == who


def test_a_wrong_password_is_said(open_page, watch):
    watch.expect(refused(401))
    page = open_page("/app/")
    make_account(page)
    sign_in(page, ALICE, "not the password")
    expect_problem(page, "No enabled account has this e-mail and password.")
    expect_signed_out(page)
    sign_in(page)
    expect_signed_in(page)
    expect_problem(page, "")


def test_a_taken_email_is_said_beside_it(open_page, watch):
    watch.expect(refused(409))
    page = open_page("/app/")
    make_account(page)
    create_account(page)
    expect_fault(page, "Email", "An account with this e-mail already exists. Sign in instead.")


def test_what_does_not_fit_is_said_beside_its_field(open_page, watch):
    watch.expect(refused(422))
    page = open_page("/app/")
    for email, password, label, sentence in (
        (ALICE, "short", "Password", "Use at least 8 characters."),
        (ALICE, "", "Password", "Send a password."),
        (ALICE, "iloveyou", "Password", COMMON),
        (ALICE, f"{ALICE}1", "Password", CONTEXT),
        ("michelle@example.com", "michelle", "Password", f"{COMMON} {CONTEXT}"),
        ("natalie", PASSWORD, "Email", "Send an e-mail address such as natalie@example.com."),
    ):
        create_account(page, email, password)
        expect_fault(page, label, sentence)


def test_a_service_that_is_away_says_so_and_recovers(open_page, watch):
    watch.expect(AWAY)
    page = open_page("/app/")
    enter(page)
    page.context.set_offline(True)
    try_route(page)
    expect_problem(page, "The service does not answer. Check your connection and try again.")
    page.context.set_offline(False)
    try_route(page)
    expect_status(page, "You did it!")
    expect_problem(page, "")


def test_a_service_that_is_away_at_a_reload_keeps_the_session(open_page, watch):
    watch.expect(AWAY)
    page = open_page("/app/")
    enter(page)
    page.route("**/auth/refresh", lambda route: route.abort("connectionrefused"), times=1)
    page.reload()
    expect_problem(page, "The service does not answer. Check your connection and try again.")
    page.get_by_role("button", name="Try again").click()
    expect_signed_in(page)


def test_a_service_whose_database_is_away_says_when_to_try_again(open_page, serve, watch):
    lonely = serve(
        workers=1, FLASK_MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/nothing", FLASK_MONGO_TIMEOUT_MS="100"
    )
    watch.expect(f"to {lonely.url}", refused(503))
    page = open_page("/")
    page.goto(f"{lonely.url}/app/")
    sign_in(page)
    expect_problem(page, "The database does not answer. Try again in 2 seconds.")
    expect_signed_out(page)


@pytest.mark.parametrize("next_act", ["reload", "sign in"])
def test_a_log_out_that_the_service_missed_is_made_up_for(open_page, service, watch, next_act):
    watch.expect(AWAY)
    page = open_page("/app/")
    enter(page)
    with page.expect_response("**/users/test") as seen:
        try_route(page)
    authorization = seen.value.request.headers["authorization"]
    page.context.set_offline(True)
    page.get_by_role("button", name="Log out").click()
    expect_signed_out(page)
    expect_status(page, "Logged out here. The service is told when you next open this page.")
    page.context.set_offline(False)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.reload() if next_act == "reload" else sign_in(page)
    if next_act == "reload":
        expect_signed_out(page)
    else:
        expect_signed_in(page)
        expect(page.locator("#sessions li")).to_have_count(1)
    answer = page.request.get(f"{service.url}/users/test", headers={"Authorization": authorization})
    assert answer.status == 401


def test_somebody_sees_their_sessions_and_ends_them(open_page, watch):
    watch.expect(refused(401))
    here = open_page("/app/")
    enter(here)
    phone = open_page(
        "/app/", user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604"
    )
    sign_in(phone)
    expect_signed_in(phone)
    here.reload()
    rows = here.locator("#sessions li")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="Chrome on Linux, this one")).to_be_visible()
    row = rows.filter(has_text="Safari on iPhone")
    row.get_by_role("button", name="Sign out Safari on iPhone").click()
    expect_status(here, "That session is signed out.")
    expect(rows).to_have_count(1)
    try_route(phone)
    expect_status(phone, "Your session has ended. Sign in again.")
    expect_signed_out(phone)

    sign_in(phone)
    expect_signed_in(phone)
    here.reload()
    here.get_by_role("button", name="Sign out everywhere else").click()
    expect_status(here, "Every other session is signed out.")
    expect(rows).to_have_count(1)
    try_route(phone)
    expect_signed_out(phone)


def test_somebody_changes_their_password(open_page, watch):
    watch.expect(refused(401), refused(403), refused(422))
    page = open_page("/app/")
    enter(page)
    page.get_by_text("Change password").first.click()
    current, new = field(page, "Current password"), field(page, "New password")
    change = page.get_by_role("button", name="Change password")

    current.fill("not the password")
    new.fill(NEW_PASSWORD)
    change.click()
    expect(current).to_be_focused()
    expect(current).to_have_attribute("aria-invalid", "true")

    current.fill(PASSWORD)
    new.fill("short")
    change.click()
    expect_fault(page, "New password", "Use at least 8 characters.")
    for password, sentence in (("iloveyou", COMMON), (f"{ALICE}1", CONTEXT)):
        new.fill(password)
        change.click()
        expect_fault(page, "New password", sentence)

    new.fill(NEW_PASSWORD)
    change.click()
    expect_status(page, "Password changed.")
    try_route(page)
    expect_status(page, "You did it!")
    page.get_by_role("button", name="Log out").click()
    expect_signed_out(page)
    sign_in(page)
    expect_problem(page, "No enabled account has this e-mail and password.")
    sign_in(page, ALICE, NEW_PASSWORD)
    expect_signed_in(page)


def test_somebody_deletes_their_account(open_page, watch):
    watch.expect(refused(401), refused(403))
    page = open_page("/app/")
    enter(page)
    page.get_by_text("Delete account").click()
    password = field(page, "Your password")
    password.fill("not the password")
    page.get_by_role("button", name="Delete my account").click()
    expect(password).to_have_attribute("aria-invalid", "true")
    password.fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect_signed_out(page)
    expect_status(page, "Your account is deleted.")
    sign_in(page)
    expect_problem(page, "No enabled account has this e-mail and password.")
