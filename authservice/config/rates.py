"""Rates such as 20/10m, and the networks whose clients have none."""

import ipaddress
import re
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` units at once. After all are spent, ``refill_seconds`` bring all of them back, one by one."""

    burst: int
    refill_seconds: float

    @property
    def unit_seconds(self) -> float:
        """The time in which one unit comes back."""
        return self.refill_seconds / self.burst

    @property
    def reach_seconds(self) -> float:
        """How far in the future a budget may be full again, for an attempt to have a unit (GCRA).

        A moment is forgiven: of simultaneous attempts, the last to be counted may have begun first.
        """
        return self.refill_seconds - self.unit_seconds + min(1.0, self.unit_seconds / 10)

    def times(self, factor: int) -> "Rate":
        """The same for as many clients together."""
        return Rate(self.burst * factor, self.refill_seconds)


def parse_rate(text: str) -> Rate:
    """Raises ValueError."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})([smhd])", text)
    if found is None or (seconds := int(found[2]) * _SECONDS[found[3]]) > _LONGEST_SECONDS:
        raise ValueError(
            f"must be a number of attempts and the time in which all of them come back, such as 20/10m, at most a "
            f"week, not {text[:40]!r}"
        )
    return Rate(int(found[1]), seconds)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Raises ValueError."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError:
        raise ValueError(
            f"must be addresses or networks separated by commas, such as 192.0.2.0/24, not {text[:60]!r}"
        ) from None
