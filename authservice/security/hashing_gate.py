"""The gate in front of password hashing: how many may hash and wait, and who gives way when it is full."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import gevent.threadpool
from gevent import monkey

from authservice import metrics
from authservice.errors import HashingBusy

HASHING_NICENESS = 10  # docs/decisions/0020-hashing-niceness.md
_DEVICE_LANE = "device"  # the client that the extra place counts for; no address looks like it

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Place:
    """What a request holds in the gate, from before it looks up the user until it is done."""

    client: str
    at_device_lane: bool = False  # not in yet: the device that it shows is still to be checked
    turn: threading.Event | None = None  # set when it may hash, or has lost its place
    is_hashing: bool = False
    is_displaced: bool = False


class HashingGate:
    """Lets BCRYPT_CONCURRENCY hashes run in this process and BCRYPT_QUEUE requests wait; refuses the rest at once.

    A limit on the number of waiters, not on their time, keeps the other routes fast in a sign-in storm.

    Anybody may take a free place. When the gate is full, a client that holds none gets the newest waiting place of the
    client that holds the most, if those are two or more. Clients hash in turn, so a long queue of one delays no other.
    One extra place is for requests that show a device of their user. docs/decisions/0052-fair-hashing-gate.md
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self._concurrency, self._places = concurrency, concurrency + queue
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()  # places of each client
        self._at_device_lane: set[str] = set()
        self._hashing = 0
        # The places that do not hash yet, of each client the oldest first. The first client is the next to hash.
        self._waiting: dict[str, list[Place]] = {}
        # Real threads, even if gunicorn_conf.py has turned all others into greenlets: a greenlet that hashes would stop
        # them all. The threads start with the first password, so a fork before that loses nothing.
        is_patched = monkey.is_module_patched("threading")
        self._threads = (gevent.threadpool.ThreadPoolExecutor if is_patched else ThreadPoolExecutor)(concurrency)

    @contextmanager
    def enter(self, client: str, *, shows_device: bool = False) -> Iterator[Place]:
        """A place until the block ends. Raises HashingBusy.

        ``shows_device`` says that the request has a well-formed device token. In a full gate one such request of each
        client gets in, and ``check_device`` then decides.
        """
        place = self._enter(client, shows_device)
        try:
            yield place
        finally:
            self._leave(place)

    def check_device(self, place: Place, *, is_known: bool) -> None:
        """Give the extra place to a request whose device its user has. Does nothing if it has another place.

        Raises HashingBusy if the device is not known, or the extra place is taken.
        """
        if not place.at_device_lane:
            return
        with self._lock:
            if not is_known or _DEVICE_LANE in self._held:
                raise _refused()
            self._at_device_lane.remove(place.client)
            place.at_device_lane = False
            self._seat(place, _DEVICE_LANE)

    def run(self, place: Place, hashing: Callable[[], T]) -> T:
        """Hash when it is the place's turn. Raises HashingBusy if another client has got the place meanwhile."""
        turn = threading.Event()
        with self._lock:
            if place.is_displaced:
                raise _refused()
            place.turn = turn
            if place not in self._waiting.get(place.client, ()):  # it has hashed before
                self._waiting.setdefault(place.client, []).append(place)
            self._start_hashing()
        try:
            turn.wait()
            if place.is_displaced:
                raise _refused()
            return self._threads.submit(_give_way_and, hashing).result()
        finally:
            with self._lock:
                self._stop(place)

    def _enter(self, client: str, shows_device: bool) -> Place:
        place = Place(client)
        with self._lock:
            is_full = self._held.total() - self._held[_DEVICE_LANE] >= self._places
            if is_full and not self._displace_for(client):
                if not shows_device or client in self._at_device_lane:
                    raise _refused()
                place.at_device_lane = True
                self._at_device_lane.add(client)
            else:
                self._seat(place, client)
        return place

    def _seat(self, place: Place, client: str) -> None:
        place.client = client
        self._held[client] += 1
        self._waiting.setdefault(client, []).append(place)
        metrics.hashing_depth.inc()

    def _displace_for(self, client: str) -> bool:
        """Whether somebody has made room for a client that holds no place."""
        greedy = max(self._waiting, key=self._held.__getitem__, default=client)
        if client in self._held or self._held[greedy] < 2:
            return False
        newest = self._waiting[greedy][-1]
        newest.is_displaced = True
        self._unseat(newest)
        if newest.turn:
            newest.turn.set()
        return True

    def _unseat(self, place: Place) -> None:
        self._forget_waiting(place)
        self._held[place.client] -= 1
        if not self._held[place.client]:
            del self._held[place.client]
        metrics.hashing_depth.dec()

    def _forget_waiting(self, place: Place) -> None:
        places = self._waiting.get(place.client, [])
        if place in places:
            places.remove(place)
            if not places:
                del self._waiting[place.client]

    def _start_hashing(self) -> None:
        """Let the clients hash in turn, one place each, as many at a time as may."""
        while self._hashing < self._concurrency:
            ready = (place for places in self._waiting.values() for place in places if place.turn)
            place = next(ready, None)
            if place is None or place.turn is None:
                return
            self._forget_waiting(place)
            if others := self._waiting.pop(place.client, None):
                self._waiting[place.client] = others  # the last of the clients now
            place.is_hashing = True
            self._hashing += 1
            place.turn.set()

    def _stop(self, place: Place) -> None:
        place.turn = None
        self._forget_waiting(place)
        if place.is_hashing:
            place.is_hashing = False
            self._hashing -= 1
            self._start_hashing()

    def _leave(self, place: Place) -> None:
        with self._lock:
            if place.at_device_lane:
                self._at_device_lane.remove(place.client)
            elif not place.is_displaced:
                self._unseat(place)


def _refused() -> HashingBusy:
    metrics.hashing_refused.inc()
    return HashingBusy()


def _give_way_and(hashing: Callable[[], T]) -> T:
    """Lower the thread's priority, so that answering requests comes first. Only Linux has a priority per thread.

    Repeated before each hash, because gevent's thread pool has no initializer.
    """
    if sys.platform == "linux":
        # Relative to the niceness of the service: an unprivileged thread may only raise its niceness.
        niceness = min(os.getpriority(os.PRIO_PROCESS, os.getpid()) + HASHING_NICENESS, 19)
        with suppress(OSError):  # a sandbox may forbid it; hashing works without it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    return hashing()
