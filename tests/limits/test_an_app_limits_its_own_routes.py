"""``limited`` in an app that embeds the service, whose own configuration and handlers have no say in it."""

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from werkzeug.middleware.proxy_fix import ProxyFix

from authservice import AuthService, current_user, jwt_required, limited
from tests.api.answers import assert_problem
from tests.api.test_addresses import MADE_UP
from tests.conftest import ALICE, BOB, PASSWORD, bearer, state_of
from tests.limits.test_a_budget_admits_exactly_its_burst import pass_time
from tests.service import free_port


@pytest.fixture
def make_host(settings):
    made = []

    def make(add_routes=None, **more):
        host = Flask("host")
        host.config.update(TESTING=True, LIMITS="off", JWT_SECRET_KEY="none of the service's", TRUSTED_PROXIES=9)
        AuthService(host, url_prefix="/identity", **{**settings, **more})
        made.append(host)

        @host.errorhandler(Exception)
        def answer_all(error):
            return "the host's own page", 500

        @host.post("/comments")
        @limited("3/1h")
        def comment():
            return {"thanks": True}

        @host.get("/search")
        @limited("2/1h", by="client")
        async def search():
            return {"found": []}

        @host.get("/export")
        @jwt_required()
        @limited("2/1h", by="user")
        def export():
            return {"owner": current_user().email}

        if add_routes is not None:
            add_routes(host)
        return host

    yield make
    for host in made:
        state_of(host).client.close()


def call(host, times, method="POST", path="/comments", address="203.0.113.9", **headers):
    client = host.test_client()
    asked = {"method": method, "headers": headers, "environ_overrides": {"REMOTE_ADDR": address}}
    return [client.open(path, **asked).status_code for _ in range(times)]


def test_one_call_too_many_is_a_problem_document(make_host):
    host = make_host()
    assert call(host, 3) == [200] * 3
    answer = host.test_client().post("/comments", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert_problem(answer, 429, "too_many_attempts")
    assert 1_100 < int(answer.headers["Retry-After"]) <= 1_200


def test_routes_and_clients_have_budgets_of_their_own(make_host):
    host = make_host()
    assert call(host, 4) == [200] * 3 + [429]
    assert call(host, 3, "GET", "/search") == [200] * 2 + [429]
    assert call(host, 1, address="198.51.100.7") == [200]


def add_stacked(host):
    @host.post("/stacked")
    @limited("3/1d")
    @limited("2/1m")
    def stacked():
        return {}


def test_stacked_limits_both_count(make_host, database):
    host = make_host(add_stacked)
    assert call(host, 30, path="/stacked") == [200] * 2 + [429] * 28
    database.limits.delete_many({})
    host = make_host(add_stacked)  # a worker that remembers no refusal
    assert call(host, 2, path="/stacked") == [200] * 2
    pass_time(database, 60)
    assert call(make_host(add_stacked), 2, path="/stacked") == [200, 429]


def add_made_by_one_factory(host):
    def make_view(rate):
        @limited(rate)
        def view():
            return {}

        return view

    blueprint = Blueprint("reports", __name__)
    blueprint.add_url_rule("/daily", "daily", make_view("3/1d"))
    blueprint.add_url_rule("/weekly", "weekly", make_view("3/1d"))
    blueprint.add_url_rule("/often", "often", make_view("2/1m"))
    host.register_blueprint(blueprint, url_prefix="/one")
    host.register_blueprint(blueprint, url_prefix="/two", name="again")


@pytest.mark.parametrize("blueprint", ["one", "two"])
def test_views_of_one_factory_have_budgets_of_their_own(make_host, blueprint):
    host = make_host(add_made_by_one_factory)
    admitted = {"daily": 0, "weekly": 0, "often": 0}
    for _ in range(10):
        for view in admitted:
            admitted[view] += call(host, 1, "GET", f"/{blueprint}/{view}") == [200]
    assert admitted == {"daily": 3, "weekly": 3, "often": 2}
    other = {"one": "two", "two": "one"}[blueprint]
    assert call(host, 4, "GET", f"/{other}/daily") == [200] * 3 + [429]


def add_method_views(host):
    class Daily(MethodView):
        decorators = (limited("3/1d"),)

        def get(self):
            return {}

    class Often(Daily):
        decorators = (limited("2/1m"),)

    class Each(MethodView):
        @limited("2/1d")
        def get(self):
            return {}

        @limited("2/1d")
        def post(self):
            return {}

    for view in (Daily, Often, Each):
        host.add_url_rule(f"/{view.__name__}", view_func=view.as_view(view.__name__))


def test_so_have_method_views_and_their_methods(make_host):
    host = make_host(add_method_views)
    answers = [call(host, 1, "GET", path)[0] for _ in range(5) for path in ("/Daily", "/Often")]
    assert answers[::2] == [200] * 3 + [429] * 2
    assert answers[1::2] == [200] * 2 + [429] * 3
    assert call(host, 3, "GET", "/Each") == call(host, 3, "POST", "/Each") == [200] * 2 + [429]


def test_workers_count_together_and_units_come_back(make_host, database):
    assert [status for _ in range(4) for status in call(make_host(), 1)] == [200] * 3 + [429]
    pass_time(database, 1_200)
    assert call(make_host(), 2) == [200, 429]


def test_users_are_counted_each_wherever_they_are(make_host):
    host = make_host()
    client = host.test_client()
    tokens = []
    for email in (ALICE, BOB):
        body = {"email": email, "password": PASSWORD}
        assert client.post("/identity/users", json=body).status_code == 201
        tokens.append(client.post("/identity/auth", json=body).get_json()["token"])
    alice, bob = ({"Authorization": bearer(token)["Authorization"]} for token in tokens)
    assert call(host, 2, "GET", "/export", **alice) == [200] * 2
    assert call(host, 1, "GET", "/export", address="198.51.100.7", **alice) == [429]
    assert call(host, 1, "GET", "/export", **bob) == [200]
    assert call(host, 1, "GET", "/export") == [401]


def test_behind_a_proxy_the_settings_of_the_service_count(make_host):
    host = make_host(TRUSTED_PROXIES=1)
    chains = [f"192.0.2.{number}, 203.0.113.9" for number in range(4)]
    answers = [call(host, 1, address="10.0.0.1", **{"X-Forwarded-For": chain})[0] for chain in chains]
    assert answers == [200] * 3 + [429]
    assert call(host, 1, address="10.0.0.1", **{"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}) == [200]


@pytest.mark.parametrize("own_hops", [None, 0, 1])
def test_neither_a_made_up_header_nor_a_proxy_fix_of_the_app_changes_that(make_host, own_hops):
    host = make_host(TRUSTED_PROXIES=1)
    if own_hops is not None:
        host.wsgi_app = ProxyFix(host.wsgi_app, x_for=own_hops)
    chains = [f"{made_up}, 203.0.113.9" for made_up in MADE_UP]
    answers = [call(host, 1, address="10.0.0.1", **{"X-Forwarded-For": chain})[0] for chain in chains]
    assert answers == [200] * 3 + [429] * (len(chains) - 3)
    assert call(host, 1, address="10.0.0.1", **{"X-Forwarded-For": '203.0.113.9", 192.0.2.7'}) == [200]


@pytest.mark.parametrize(
    ("own_hops", "peer", "forwarded", "calls"),
    [
        (0, "10.0.0.1", "203.0.113.9", 300),  # its users are a hundred clients together
        (1, "10.0.0.1", '203.0.113.9"', 300),  # the quote hides the list from ProxyFix
        (1, "10.0.0.1", "203.0.113.9", 3),
        (1, "10.0.0.1", "10.9.9.9", 3),
        (0, "198.51.100.7", "203.0.113.9", 3),
        (0, "10.0.0.1", " ", 3),
    ],
)
def test_an_address_that_the_app_s_own_proxy_fix_leaves_is_the_proxy_s(make_host, own_hops, peer, forwarded, calls):
    host = make_host()
    host.wsgi_app = ProxyFix(host.wsgi_app, x_for=own_hops)
    assert call(host, calls + 2, address=peer, **{"X-Forwarded-For": forwarded}) == [200] * calls + [429] * 2


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_nor_do_the_routes_of_the_service_mistake_it(make_host, peer):
    host = make_host(LIMIT_SIGN_IN_CLIENT="1/7d")
    host.wsgi_app = ProxyFix(host.wsgi_app, x_for=0)
    answers = []
    for number in range(3):
        asked = {"headers": {"X-Forwarded-For": "203.0.113.9"}, "environ_overrides": {"REMOTE_ADDR": peer}}
        body = {"email": f"{number}@example.com", "password": PASSWORD}
        answers.append(host.test_client().post("/identity/auth", json=body, **asked).status_code)
    assert answers == [401] * 3


def test_a_database_that_is_away_is_a_503(make_host):
    host = make_host(MONGO_URI=f"mongodb://127.0.0.1:{free_port()}/x", MONGO_TIMEOUT_MS=200)
    assert call(host, 1) == [503]


def test_switched_off_and_exempt_nothing_is_counted(make_host, database):
    assert call(make_host(LIMITS="off"), 9) == [200] * 9
    assert call(make_host(LIMIT_EXEMPT="203.0.113.0/24"), 9) == [200] * 9
    assert database.limits.count_documents({}) == 0


@pytest.mark.parametrize("rate", ["", "10", "10/m", "0/1m", "10/0m", "-1/1m", "10/1w", "10/8d", "10/1m ", "1.5/1m"])
def test_a_rate_that_is_none_is_refused_where_it_is_written(rate):
    with pytest.raises(ValueError, match="rate must be a number of attempts"):
        limited(rate)


def test_so_is_another_subject():
    with pytest.raises(ValueError, match="client or user"):
        limited("10/1m", by="session")
