"""The wheel in a new environment, outside the repository: it serves, and keeps its data elsewhere."""

import re
import subprocess

import pytest
import requests

from tests.package.conftest import run

CREDENTIALS = {"email": "natalie@example.com", "password": "correct horse battery"}


@pytest.fixture(scope="module")
def token(service):
    created = requests.post(f"{service.url}/users", json=CREDENTIALS, timeout=30)
    assert created.status_code == 201, created.text
    signed_in = requests.post(f"{service.url}/auth", json=CREDENTIALS, timeout=30)
    assert signed_in.status_code == 200, signed_in.text
    return signed_in.json()["token"]


def test_it_walks_from_sign_up_to_the_guarded_route(service, token):
    passed = requests.get(f"{service.url}/users/test", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert (passed.status_code, passed.json()) == (200, {"message": "You did it!"})
    assert requests.get(f"{service.url}/users/test", timeout=30).status_code == 401


def test_it_listens_to_this_machine_alone_with_the_services_own_worker(service):
    assert f"Listening at: http://127.0.0.1:{service.port}" in service.output()
    assert "Using worker: authservice.serving.worker.Worker" in service.output()


def test_the_client_and_the_pages_are_there(service):
    page = requests.get(f"{service.url}/app/", timeout=30).text
    assets = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)
    assert assets
    for path in (*(f"app/{asset}" for asset in assets), "", "docs", "openapi.json", "static/home.css"):
        assert requests.get(f"{service.url}/{path}", timeout=30).status_code == 200, path


def test_the_readme_is_rendered_without_pictures(service):
    page = requests.get(f"{service.url}/readme", timeout=30).text
    assert '<h1 id="authservice">' in page
    assert '<a href="#settings">' in page
    assert "<img" not in page


def test_its_data_is_in_the_home_that_the_log_names_and_nowhere_else(service, token, home, empty, environment):
    data = home / ".local" / "share" / "authservice"
    assert (data / "jwt-secret").exists()
    assert f"using the embedded database in {data}" in service.output()
    assert not [*empty.iterdir()]
    assert not [*environment.rglob("jwt-secret")]
    assert not (environment / "var").exists()


def test_the_users_are_looked_after_by_the_same_command(service, token, home, environment, empty):
    listed = subprocess.run(
        [environment / "bin" / "authservice", "users", "list"],
        cwd=empty,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert CREDENTIALS["email"] in listed.stdout


def test_no_module_has_another_name(environment, empty):
    found = run(
        environment / "bin" / "python",
        "-c",
        "import importlib.util; print(importlib.util.find_spec('wsgi'))",
        cwd=empty,
    )
    assert found == "None\n"


def test_it_ends_with_everything_that_it_has_started(start, tmp_path):
    assert start(tmp_path).stop() == 0
    listed = subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed
