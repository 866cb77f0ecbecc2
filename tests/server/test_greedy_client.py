"""Clients that send very many requests, or endless bodies, get no more than their share."""

import socket
import threading
import time

import requests

REQUESTS = 3_000
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_client_that_keeps_sending_after_its_response_is_cut_off_and_delays_nobody(serve):
    service = serve(workers=1)
    with socket.create_connection(("127.0.0.1", service.port), 10) as greedy:
        head = (
            b"POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
        )
        greedy.sendall(head + b"x" * 65_536)
        assert greedy.recv(65_536).startswith(b"HTTP/1.1 413 ")
        ended = threading.Event()

        def send_on():
            give_up = time.monotonic() + 20
            try:
                while time.monotonic() < give_up:
                    greedy.sendall(b"x" * 1_048_576)
            except ConnectionError:
                ended.set()

        sending = threading.Thread(target=send_on)
        sending.start()
        for _ in range(20):
            asked = time.monotonic()
            assert requests.get(f"{service.url}/healthz", timeout=60).status_code == 200
            assert time.monotonic() - asked < 2
            time.sleep(0.05)
        sending.join()
    assert ended.is_set()


def test_a_client_that_pipelines_3000_requests_does_not_block_the_others(serve):
    service = serve(workers=1)
    with socket.create_connection(("127.0.0.1", service.port), 60) as greedy:
        started = time.monotonic()
        threading.Thread(target=greedy.sendall, args=(REQUEST * REQUESTS,)).start()
        answers = greedy.recv(65_536)  # its first response has arrived
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
