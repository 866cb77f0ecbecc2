"""CBOR as authenticators write it."""

_TAG, _STRINGS = 6, (2, 3)
_UNKNOWN_LENGTH = 31


def refuse_tags(encoded: bytes) -> None:
    """Raises ValueError. Source: CTAP 2.1 section 8: no tags; RFC 8949 section 3 for what is read.

    With tags 28 and 29, a few hundred bytes say a value of gigabytes, and py_webauthn writes it out before it checks
    anything.
    """
    at = 0
    while at < len(encoded):
        kind, argument = divmod(encoded[at], 32)
        size = 1 << argument - 24 if 24 <= argument <= 27 else 0
        if kind == _TAG:
            raise ValueError("a tag")
        if kind in _STRINGS and argument != _UNKNOWN_LENGTH:
            at += int.from_bytes(encoded[at + 1 : at + 1 + size]) if size else argument
        at += 1 + size  # what arrays and maps hold follows their head
