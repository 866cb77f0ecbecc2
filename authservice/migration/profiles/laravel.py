"""Laravel: bcrypt or Argon2, ``email_verified_at``, and ``deleted_at`` where users are deleted softly."""

from authservice.migration.moved import Profile
from authservice.migration.profiles import nestjs

PROFILE = Profile("laravel", "Laravel", nestjs.read, may_adopt=True)
