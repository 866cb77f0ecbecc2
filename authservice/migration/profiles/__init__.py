"""One module for each stack or service that users come from."""

from authservice.migration.moved import Profile
from authservice.migration.profiles import (
    auth0,
    authservice,
    better_auth,
    clerk,
    cognito,
    devise,
    django,
    feathers,
    firebase,
    flask_security,
    keycloak,
    keystone,
    kratos,
    laravel,
    medusa,
    meteor,
    nestjs,
    parse,
    passport_local_mongoose,
    payload,
    strapi,
    supabase,
)

_MODULES = (
    *(nestjs, parse, keystone, feathers, strapi, meteor, passport_local_mongoose, payload, devise, laravel, django),
    *(flask_security, better_auth, medusa, firebase, keycloak, supabase, auth0, clerk, kratos, cognito, authservice),
)

PROFILES: dict[str, Profile] = {module.PROFILE.name: module.PROFILE for module in _MODULES}
