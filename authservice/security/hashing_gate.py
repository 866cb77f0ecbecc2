"""The gate in front of password hashing: how many may hash and wait, and who gives way when it is full."""

import os
import sys
import threading
import time
from collections import Counter, OrderedDict
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
# For which a hash counts against the account, where accounts compete for the extra place: a minute each, ten at most.
_USE_SECONDS, _USES_SECONDS_MAX = 60.0, 600.0
_USERS_MAX = 8_192

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Place:
    """What a request holds in the gate, from before it looks up the user until it is done."""

    client: str
    shows_device: bool = False
    at_device_lane: bool = False  # not in yet: the device that it shows is still to be checked
    account: str | None = None  # that has the device
    turn: threading.Event | None = None  # set when it may hash, or has lost its place
    is_hashing: bool = False
    is_displaced: bool = False


class HashingGate:
    """Lets BCRYPT_CONCURRENCY hashes run in this process and BCRYPT_QUEUE requests wait; refuses the rest at once.

    A limit on the number of waiters, not on their time, keeps the other routes fast in a sign-in storm.

    Anybody may take a free place. When the gate is full, a client that holds none gets the newest waiting place of the
    client that holds the most, if those are two or more. Clients hash in turn, so a long queue of one delays no other.
    One extra place to wait is for requests that show a device of their user; it hashes every other time. The account
    that has hashed least comes first, so nobody holds it with devices of his own accounts.
    docs/decisions/0052-fair-hashing-gate.md
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self._concurrency, self._places = concurrency, concurrency + queue
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()  # places of each client
        self._at_device_lane: set[str] = set()
        self._counted_until: OrderedDict[str, float] = OrderedDict()  # of the accounts that hashed last on a device
        self._hashing = 0
        # The places that do not hash yet, of each client the oldest first. The first client is the next to hash.
        self._waiting: OrderedDict[str, list[Place]] = OrderedDict()
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

    def check_device(self, place: Place, account: str | None) -> None:
        """Say which account has the device that the request shows, or None: then it is a stranger.

        A request that has no place yet gets the extra one. Raises HashingBusy if it is a stranger, or the place is
        taken.
        """
        with self._lock:
            place.account, place.shows_device = account, account is not None
            if place.at_device_lane:
                if account is None or not self._clear_lane_for(account):
                    raise _refused()
                self._at_device_lane.remove(place.client)
                place.at_device_lane = False
                self._seat(place, _DEVICE_LANE)

    def run(self, place: Place, hashing: Callable[[], T]) -> T:
        """Hash when it is the place's turn. Raises HashingBusy if another client has got the place meanwhile.

        A request in the extra place hashes once: it no longer occupies that place then.
        """
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
        place = Place(client, shows_device)
        with self._lock:
            is_full = self._held.total() - self._held[_DEVICE_LANE] >= self._places
            if not is_full or self._make_room_for(client):
                self._seat(place, client)
            elif not self._knock_at_lane(place):
                raise _refused()
        return place

    def _seat(self, place: Place, client: str) -> None:
        place.client = client
        self._held[client] += 1
        self._waiting.setdefault(client, []).append(place)
        metrics.hashing_depth.inc()

    def _make_room_for(self, client: str) -> bool:
        """Whether somebody has made room for a client that holds no place."""
        waiting = (other for other in self._waiting if other != _DEVICE_LANE)
        greedy = max(waiting, key=self._held.__getitem__, default=client)
        if client in self._held or self._held[greedy] < 2:
            return False
        newest = self._waiting[greedy][-1]
        self._unseat(newest)
        if newest.account is not None and self._clear_lane_for(newest.account):
            self._seat(newest, _DEVICE_LANE)
        elif newest.account is not None or not self._knock_at_lane(newest):
            _displace(newest)
        return True

    def _knock_at_lane(self, place: Place) -> bool:
        """Whether a request may have its device checked: one of each client at a time."""
        may = place.shows_device and place.client not in self._at_device_lane
        if may:
            place.at_device_lane = True
            self._at_device_lane.add(place.client)
        return may

    def _clear_lane_for(self, account: str) -> bool:
        """Whether nobody waits in the lane, perhaps because an account that has hashed more has given way."""
        if _DEVICE_LANE not in self._waiting:
            return True
        holder = self._waiting[_DEVICE_LANE][-1]
        if self._uses(holder.account) <= self._uses(account):
            return False
        self._unseat(holder)
        _displace(holder)
        return True

    def _uses(self, account: str | None) -> float:
        """The more, the later."""
        return max(self._counted_until.get(account or "", 0.0), time.monotonic())

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
            if _DEVICE_LANE in self._waiting and place.client != _DEVICE_LANE:
                self._waiting.move_to_end(_DEVICE_LANE, last=False)
            if place.account is not None:
                self._count_use(place.account)
            place.is_hashing = True
            self._hashing += 1
            place.turn.set()

    def _count_use(self, account: str) -> None:
        counted_until = self._uses(account) + _USE_SECONDS
        self._counted_until[account] = min(counted_until, time.monotonic() + _USES_SECONDS_MAX)
        self._counted_until.move_to_end(account)
        if len(self._counted_until) > _USERS_MAX:
            self._counted_until.popitem(last=False)

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


def _displace(place: Place) -> None:
    place.is_displaced = True
    if place.turn:
        place.turn.set()


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
