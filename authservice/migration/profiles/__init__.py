"""One module for each stack or service that users come from."""

from authservice.migration.moved import Profile

PROFILES: dict[str, Profile] = {}
