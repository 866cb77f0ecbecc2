"""A finding of a check, and its line of output."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Finding:
    """A line of ``authservice check``."""

    verdict: str
    about: str
    sentence: str

    @property
    def is_wrong(self) -> bool:
        return self.verdict == "wrong"

    def line(self) -> str:
        return f"{self.verdict:<5}  {self.about}: {self.sentence}"


def good(about: str, sentence: str) -> Finding:
    return Finding("ok", about, sentence)


def note(about: str, sentence: str) -> Finding:
    """For what may be intended."""
    return Finding("note", about, sentence)


def wrong(about: str, sentence: str) -> Finding:
    return Finding("wrong", about, sentence)


def clock(about: str, whose: str, theirs: datetime, ours: datetime, tolerance: timedelta) -> Finding:
    """Compare two clocks. A wrong clock ends tokens and sessions too early or too late."""
    difference = (theirs - ours).total_seconds()
    if abs(difference) <= tolerance.total_seconds():
        return good(about, f"{whose} and this machine's agree")
    direction = "ahead of" if difference > 0 else "behind"
    return wrong(about, f"{whose} is {abs(difference):.0f} s {direction} this machine's; synchronize both (NTP)")
