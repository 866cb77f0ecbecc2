"""A client who asks for very much at once takes its turn like everybody."""

import socket
import threading
import time

import requests

REQUESTS = 3_000
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_who_sends_3000_requests_at_once_makes_nobody_wait_for_all_of_them(serve):
    service = serve(workers=1)
    with socket.create_connection(("127.0.0.1", service.port), 60) as greedy:
        started = time.monotonic()
        threading.Thread(target=greedy.sendall, args=(REQUEST * REQUESTS,)).start()
        answers = greedy.recv(65_536)  # it has had its first turn
        others = []

        def ask():
            asked = time.monotonic()
            assert requests.get(f"{service.url}/healthz", timeout=60).status_code == 200
            others.append(time.monotonic() - asked)

        other = threading.Thread(target=ask)
        other.start()
        while answers.count(b"HTTP/1.1 200 OK\r\n") < REQUESTS:
            part = greedy.recv(1_048_576)
            assert part, answers.count(b"HTTP/1.1 200 OK\r\n")
            answers += part
        taken = time.monotonic() - started
        other.join()
    assert others[0] < taken / 4, (others, taken)
