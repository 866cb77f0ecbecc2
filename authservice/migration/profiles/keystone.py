"""Keystone 4, 5 and 6."""

from authservice.migration.moved import Profile
from authservice.migration.profiles import nestjs

# Keystone's User has ``email`` and ``password`` as well. What says who is an administrator there is no role here.
PROFILE = Profile("keystone", "Keystone", nestjs.read, may_adopt=True)
