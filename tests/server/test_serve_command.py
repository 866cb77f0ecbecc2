"""``authservice serve`` serves as in the repository, from any directory. Other configurations are refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from authservice import serving
from tests.conftest import ALICE, PASSWORD, SECRET
from tests.server.processes import pass_guard, run, sign_up, wait_until
from tests.server.test_refused_reload import asking
from tests.service import ROOT

DATABASE = {"FLASK_MONGO_URI": "mongodb://127.0.0.1:1/x", "FLASK_JWT_SECRET_KEY": SECRET}
SERVE = ("-m", "authservice", "serve")


HOOKS = {
    "on_starting",
    "post_fork",
    "post_worker_init",
    "child_exit",
    "on_exit",
}  # printed with their address in memory


def printed(command: tuple[str, ...], cwd: Path, **environment: str) -> dict[str, str]:
    """The output of gunicorn's --print-config."""
    ended = subprocess.run(
        [sys.executable, *command, "--print-config"],
        cwd=cwd,
        env={**os.environ, **DATABASE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pairs = [line.partition("=") for line in ended.stdout.splitlines()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_it_serves_with_the_configuration_of_the_repository(tmp_path):
    of_command, of_repository = printed(SERVE, tmp_path), printed(("-m", "gunicorn"), ROOT)
    assert of_command["worker_class"] == "authservice.serving.worker.Worker"
    differing = {name for name in of_command | of_repository if of_command[name] != of_repository[name]}
    assert differing <= {"chdir", "config", *HOOKS}


def test_gunicorns_variables_and_options_apply(tmp_path):
    settings = printed((*SERVE, "--workers", "7"), tmp_path, PORT="8081", HOST="::1")
    assert (settings["bind"], settings["workers"]) == ("['[::1]:8081']", "7")


def test_it_serves_from_sign_up_to_the_guarded_route_and_stops(serve, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    service = serve(command=SERVE, cwd=home)
    assert pass_guard(service, sign_up(service, ALICE)).status_code == 200
    assert service.stop() == 0
    assert not [*home.iterdir()]


def test_the_same_command_manages_users(serve, mongo_uri, tmp_path):
    environment = {"FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET, "FLASK_BCRYPT_LOG_ROUNDS": "4"}
    created = run("authservice", "users", "create", ALICE, "--password-stdin", stdin=PASSWORD, **environment)
    assert created.returncode == 0, created.stderr
    of_command = run("authservice", "users", "list", "--json", **environment)
    of_flask = run("flask", "--app", "wsgi", "users", "list", "--json", **environment)
    assert (of_command.returncode, of_command.stdout) == (0, of_flask.stdout)
    assert ALICE in of_command.stdout
    unknown = run("authservice", "users", "show", "bob@example.com", **environment)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)


def test_help_needs_no_settings_and_starts_no_database(tmp_path):
    for arguments in ((), ("--help",), ("users", "--help"), ("users", "create", "--help")):
        shown = run("authservice", *arguments, FLASK_BCRYPT_QUEUE="many", FLASK_INSTANCE_PATH=str(tmp_path / "data"))
        assert "Usage: authservice" in shown.stdout + shown.stderr
        assert "cannot start" not in shown.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [("serve",), ("users", "list")])
def test_bad_settings_are_listed_without_a_traceback(arguments):
    ended = run("authservice", *arguments, PORT="0", **{**DATABASE, "FLASK_BCRYPT_QUEUE": "many"})
    assert ended.returncode != 0
    assert ended.stderr.endswith(
        "the service cannot start:\n  - FLASK_BCRYPT_QUEUE must be a whole number from 0 to 1000, not 'many'\n"
    )


def test_a_new_master_of_usr2_takes_over_and_no_request_fails(serve, tmp_path):
    pidfile = tmp_path / "pid"
    service = serve(workers=1, command=(*SERVE, "--pid", str(pidfile)), cwd=tmp_path)
    token = sign_up(service, ALICE)
    service.signal(signal.SIGUSR2)
    new = Path(f"{pidfile}.2")
    wait_until(lambda: new.exists() and new.read_text().strip())
    pid = int(new.read_text())
    try:
        with asking(service, token) as failures:
            wait_until(lambda: service.output().count("Booting worker") == 2)
            service.stop()
            assert pass_guard(service, token).status_code == 200
        assert failures == []
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())


class TestAnotherConfiguration:
    """gunicorn's defaults are a sync worker, and trust in local proxies that do not exist."""

    @pytest.mark.parametrize("app", ["authservice.serving.wsgi:app", "authservice:create_app()"])
    @pytest.mark.parametrize("options", [(), ("-k", "gthread"), ("-k", "gevent"), ("--preload",)], ids=" ".join)
    def test_is_refused_with_the_reason(self, tmp_path, app, options):
        ended = self.start(tmp_path, app, *options)
        assert ended.returncode == (1 if "--preload" in options and "()" in app else 3)
        assert (
            "the service cannot start:\n  - gunicorn runs without the configuration of this service: start "
            f"`authservice serve`, or gunicorn with -c {serving.CONFIGURATION}\n"
        ) in ended.stderr

    def test_is_refused_with_our_worker_too(self, tmp_path):
        ended = self.start(tmp_path, "authservice.serving.wsgi:app", "-k", "authservice.serving.worker.Worker")
        assert ended.returncode == 3
        assert "start gunicorn with" in ended.stderr

    def test_may_include_ours_and_change_it(self, serve, tmp_path):
        (tmp_path / "theirs.py").write_text((ROOT / "gunicorn.conf.py").read_text() + "\nkeepalive = 7\n")
        service = serve(workers=1, GUNICORN_CMD_ARGS=f"-c {tmp_path / 'theirs.py'}")
        answer = requests.get(f"{service.url}/readyz", timeout=10)
        assert answer.status_code == 200

    def start(self, cwd: Path, app: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", *options, app],
            cwd=cwd,
            env={**os.environ, **DATABASE},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_an_app_that_gunicorn_does_not_serve_is_accepted(settings):
    """A process that has imported gunicorn is not necessarily run by it."""
    import gunicorn.arbiter  # noqa: F401

    serving.require_own_configuration()
