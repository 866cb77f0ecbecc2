"""Functions for FLASK_CLAIMS that no token can be made with."""


def not_a_dict(user):
    return [user.id]


def not_json(user):
    return {"team": object()}


def fails(user):
    raise LookupError(user.id)
