"""Checks the password hashes that other stacks made."""

from authservice.security.legacy import encode
from authservice.security.legacy.keys import FirebaseKeys, LegacyKeys, keys_of
from authservice.security.legacy.legacy_hash import LegacyHash
from authservice.security.legacy.parsing import parse

__all__ = ["FirebaseKeys", "LegacyHash", "LegacyKeys", "encode", "keys_of", "parse"]
