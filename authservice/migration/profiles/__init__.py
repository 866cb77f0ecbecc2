"""One module for each stack or service that users come from."""

from authservice.migration.moved import Profile
from authservice.migration.profiles import better_auth, meteor, nestjs, payload

PROFILES: dict[str, Profile] = {
    module.PROFILE.name: module.PROFILE for module in (nestjs, meteor, payload, better_auth)
}
