"""The secrets of other stacks that some of their hashes need. They are settings, never in the database."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FirebaseKeys:
    """The password hash parameters of one Firebase project, as its console shows them."""

    signer_key: bytes = field(repr=False)
    salt_separator: bytes
    rounds: int
    mem_cost: int


@dataclass(frozen=True)
class LegacyKeys:
    """``pepper`` is Devise's pepper and Flask-Security's SECURITY_PASSWORD_SALT."""

    pepper: bytes | None = field(default=None, repr=False)
    firebase: FirebaseKeys | None = None
