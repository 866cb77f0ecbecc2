"""Hashes by Argon2, version 19 (RFC 9106), as PHC strings."""

import hmac
import re

from argon2.low_level import Type, core, ffi

from authservice.security.legacy.inner import Inner, unbase64

MEMORY_MAX_KIB = 131_072
MEMORY_TIMES_PASSES_MAX_KIB = 524_288
LANES_MAX = 64
_MS_PER_KIB = 0.00113
# What stacks make; a hash of another length has been cut.
_HASH_BYTES = frozenset({16, 20, 24, 32, 48, 64})
_VERSION = 19
_TYPES = {"argon2d": Type.D, "argon2i": Type.I, "argon2id": Type.ID}
_FORM = re.compile(
    r"\$(argon2id|argon2i|argon2d)\$v=19\$([mtp]=[1-9][0-9]{0,6}(?:,[mtp]=[1-9][0-9]{0,6}){2})"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})"
)


def read(text: str) -> Inner | None:
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    parameters = dict(parameter.split("=") for parameter in form[2].split(","))  # Node's argon2 has them as m, p, t
    if len(parameters) != 3:
        return None
    memory, passes, lanes = (int(parameters[name]) for name in "mtp")
    salt, expected = (unbase64(part + "=" * (-len(part) % 4)) for part in (form[3], form[4]))
    if salt is None or expected is None or len(expected) not in _HASH_BYTES:
        return None
    if lanes > LANES_MAX or not 8 * lanes <= memory <= MEMORY_MAX_KIB or memory * passes > MEMORY_TIMES_PASSES_MAX_KIB:
        return None
    kind = _TYPES[form[1]]

    def matches(secret: bytes) -> bool:
        return hmac.compare_digest(_derive(kind, secret, salt, memory, passes, lanes, len(expected)), expected)

    return Inner(form[1], f"m={memory}, t={passes}, p={lanes}", _MS_PER_KIB * memory * passes, matches)


def _derive(kind: Type, secret: bytes, salt: bytes, memory: int, passes: int, lanes: int, size: int) -> bytes:
    """All lanes in this thread, whose CPU is measured for equal time. docs/decisions/0091-checking-old-hashes.md"""
    made = ffi.new("uint8_t[]", size)
    pwd, salt_bytes = ffi.from_buffer("uint8_t[]", secret), ffi.from_buffer("uint8_t[]", salt)
    context = {
        "version": _VERSION,
        "out": made,
        "outlen": size,
        "pwd": pwd,
        "pwdlen": len(secret),
        "salt": salt_bytes,
        "saltlen": len(salt),
        "secret": ffi.NULL,
        "secretlen": 0,
        "ad": ffi.NULL,
        "adlen": 0,
        "t_cost": passes,
        "m_cost": memory,
        "lanes": lanes,
        "threads": 1,
        "allocate_cbk": ffi.NULL,
        "free_cbk": ffi.NULL,
        "flags": 0,
    }
    error = core(ffi.new("argon2_context *", context), kind.value)
    if error != 0:
        raise MemoryError(f"Argon2 failed with error {error}")
    return bytes(ffi.buffer(made, size))
