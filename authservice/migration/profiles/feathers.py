"""Feathers with authentication-local, and feathers-authentication-management's ``isVerified``."""

from authservice.migration.moved import Profile
from authservice.migration.profiles import nestjs

PROFILE = Profile("feathers", "Feathers", nestjs.read, may_adopt=True)
