"""Makes refused passwords cost the same CPU, whatever hashes are stored.

The unit is a round of bcrypt: a hash of cost c has 2^c, and its setup takes as long as one. Other work counts as the
rounds that would have taken as long. Rounds are timed just after it, so a machine that is slower for a while is slower
for all of them.
docs/decisions/0090-equal-time-of-old-hashes.md
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from authservice.security.legacy import LegacyHash, LegacyKeys, bcrypts, parse

_LOWEST_COST, _HIGHEST_COST = 4, 14
_SAMPLE_COST = 6  # a hash of a lower cost takes too little time to measure it
_TIMING_COST = 8  # beside a hash of another stack, which takes longer too
# The CPU time of a hash varies. With a margin the dearest one hardly ever exceeds the target.
_MARGIN = 1 / 16
_NEAR = 1 - 1 / 32
_WEIGHT = 1 / 8  # of a new figure
_DUMMY = "a password to measure with"

T = TypeVar("T")


@dataclass(frozen=True)
class _Timed:
    """The rounds that a refusal takes here if the stored hash has this format."""

    format: tuple[str, str]
    rounds: float

    def averaged(self, new: "_Timed") -> "_Timed":
        return _Timed(self.format, self.rounds + (new.rounds - self.rounds) * _WEIGHT)


def rounds_of(cost: int) -> int:
    """Of one hash by bcrypt. Without the setup, short decoys would make rounds look slow, and what was spent small."""
    return (1 << cost) + 1


class EqualTime:
    """What a refusal costs in this worker.

    Several hashing threads use it at once. They replace an attribute as a whole, and a lost update does no harm.
    """

    def __init__(
        self,
        cost: int,
        keys: LegacyKeys,
        run_decoy: Callable[[int], object],
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """``cost`` is that of our bcrypt. ``run_decoy(cost)`` hashes once. ``clock`` is the CPU time of the thread."""
        self._keys, self._run_decoy, self._clock = keys, run_decoy, clock
        self._bcrypt_rounds = rounds_of(cost)  # of our bcrypt, or of a dearer one that this worker has checked
        self._bcrypt_rounds_in_collection = 0
        self._seconds_a_round: float | None = None
        self._learned: Sequence[object] = ()
        self._in_collection: _Timed | None = None
        self._checked: _Timed | None = None

    @property
    def target_rounds(self) -> float:
        """Our bcrypt, or the dearest format that the collection holds or this worker has checked."""
        dearest = max((timed.rounds for timed in (self._in_collection, self._checked) if timed), default=0.0)
        if dearest < self._dearest_bcrypt * _NEAR:
            return self._dearest_bcrypt
        return max(self._dearest_bcrypt, dearest * (1 + _MARGIN))

    @property
    def _dearest_bcrypt(self) -> int:
        return max(self._bcrypt_rounds, self._bcrypt_rounds_in_collection)

    def learn(self, stored: Sequence[object]) -> None:
        """Time the dearest of the ``stored`` hashes, unless another one of its format was the dearest before."""
        if stored is self._learned:
            return
        texts = [text for text in stored if isinstance(text, str)]
        plain = [rounds_of(int(form[1])) for text in texts if (form := bcrypts.WELL_FORMED.fullmatch(text))]
        self._bcrypt_rounds_in_collection = max(plain, default=0)
        hashes = [hashed for text in texts if (hashed := parse(text))]
        dearest = max(hashes, key=lambda hashed: hashed.dear, default=None)
        if dearest is None:
            self._in_collection = None
        elif self._in_collection is None or self._in_collection.format != _format(dearest):
            self._in_collection = self._time(dearest)
        self._learned = stored

    def check(self, hashed: LegacyHash, password: str) -> tuple[bool, float]:
        """Whether the password matches, and the seconds of CPU that it took to find out."""
        return self.timed(lambda: hashed.matches(password, self._keys))

    def timed(self, work: Callable[[], T]) -> tuple[T, float]:
        """What ``work`` returns, and the seconds of CPU that it took."""
        started = self._clock()
        result = work()
        return result, self._clock() - started

    def make_up_for(self, hashed: LegacyHash, seconds: float) -> None:
        """Spend what the check of another stack's hash has left of the target."""
        rounds = 0
        if self._seconds_a_round is None:  # the first check of this worker
            rounds = rounds_of(_SAMPLE_COST)
            self._seconds_a_round = self._decoy_seconds(_SAMPLE_COST) / rounds
        self._note(_Timed(_format(hashed), seconds / self._seconds_a_round))
        self._spend(rounds, seconds)

    def note_bcrypt(self, rounds: int, seconds: float) -> None:
        """Remember how long bcrypt took, and whether it was a hash dearer than ours."""
        self._bcrypt_rounds = max(self._bcrypt_rounds, rounds)
        if rounds >= rounds_of(_SAMPLE_COST):
            self._seconds_a_round = seconds / rounds

    def make_up_for_bcrypt(self, rounds: int) -> None:
        """Spend what bcrypt has left of the target."""
        self._spend(rounds, 0.0)

    def _spend(self, rounds: int, seconds: float) -> None:
        """Hash decoys of falling cost up to the target, which ``rounds`` and ``seconds`` have been spent of."""
        target, pace = self.target_rounds, self._seconds_a_round
        sampled, sample_seconds = 0, 0.0

        def left() -> float:
            return target - rounds - (seconds / pace if pace else 0.0)

        for cost in range(_HIGHEST_COST, _LOWEST_COST - 1, -1):
            while left() >= rounds_of(cost):
                sample_seconds += self._decoy_seconds(cost)
                rounds, sampled = rounds + rounds_of(cost), sampled + rounds_of(cost)
                if sampled >= rounds_of(_SAMPLE_COST):
                    pace = self._seconds_a_round = sample_seconds / sampled
        # No decoy is small enough for the rest. By lot, it is spent on average, and no format is off by a fixed time.
        if random.random() * rounds_of(_LOWEST_COST) < left():  # noqa: S311
            self._decoy_seconds(_LOWEST_COST)

    def _note(self, new: _Timed) -> None:
        """Remember the dearest format that this worker has checked, and average its figures."""
        if self._in_collection and self._in_collection.format == new.format:
            self._in_collection = self._in_collection.averaged(new)
        elif self._checked and self._checked.format == new.format:
            self._checked = self._checked.averaged(new)
        elif new.rounds > (self._checked.rounds if self._checked else self._dearest_bcrypt * _NEAR):
            self._checked = new

    def _time(self, hashed: LegacyHash) -> _Timed:
        """Between two decoys, which time the round."""
        before = self._decoy_seconds(_TIMING_COST)
        _, seconds = self.check(hashed, _DUMMY)
        after = self._decoy_seconds(_TIMING_COST)
        self._seconds_a_round = (before + after) / 2 / rounds_of(_TIMING_COST)
        return _Timed(_format(hashed), seconds / self._seconds_a_round)

    def _decoy_seconds(self, cost: int) -> float:
        _, seconds = self.timed(lambda: self._run_decoy(cost))
        return seconds


def _format(hashed: LegacyHash) -> tuple[str, str]:
    return hashed.scheme, hashed.cost
