"""The connection to the database breaks between a rotation and its answer: a retry within the grace succeeds."""

import contextlib
import socket
import threading

import pytest

from tests.conftest import ALICE, PASSWORD, SECRET, bearer, sign_in


class LossyProxy:
    """Forwards bytes to the database. Once armed, it forwards one update and cuts the connection before the answer."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.armed = False
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            outer = socket.create_connection(self._target)
            doomed = threading.Event()
            for source, sink, is_request in ((inner, outer, True), (outer, inner, False)):
                threading.Thread(target=self._pass, args=(source, sink, is_request, doomed), daemon=True).start()

    def _pass(self, source, sink, is_request, doomed):
        try:
            while data := source.recv(65_536):
                if is_request and self.armed and b"refreshJti" in data and b"update" in data:
                    self.armed = False
                    doomed.set()
                if not is_request and doomed.is_set():
                    self.cut = True  # it has answered, so it has written
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def proxy(database_port):
    proxy = LossyProxy(database_port)
    yield proxy
    proxy.close()


@pytest.fixture
def settings(proxy, uri_through):
    uri = uri_through(proxy.port, retryWrites="false")  # or the driver would retry
    return {"MONGO_URI": uri, "JWT_SECRET_KEY": SECRET, "BCRYPT_LOG_ROUNDS": 4}


def test_the_retry_gets_the_pair_of_the_rotation_whose_answer_was_lost(client, alice, proxy, database):
    pair = sign_in(client, ALICE, PASSWORD)
    proxy.armed = True
    lost = client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert (lost.status_code, lost.get_json()["code"]) == (503, "database_unavailable")
    assert proxy.cut
    assert database.users.find_one({})["sessions"][1]["previousJti"] is not None  # it was written nevertheless
    retried = client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert retried.status_code == 200
    assert client.get("/users/test", headers=bearer(retried.get_json()["token"])).status_code == 200
    again = client.post("/auth/refresh", json={"refreshToken": retried.get_json()["refreshToken"]})
    assert again.status_code == 200
