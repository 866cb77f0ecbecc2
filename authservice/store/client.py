"""The database client of an application: how it connects, and whether the database answers."""

from collections.abc import Mapping
from typing import Any

from bson.codec_options import DatetimeConversion
from flask import Flask
from flask_pymongo import PyMongo
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from authservice.config import ConfigurationError
from authservice.state import current_state
from authservice.store.resilience import asks_database

CONNECTIONS_PER_WORKER = 8  # docs/decisions/0021-connections-per-worker.md


def connect(app: Flask, settings: Mapping[str, Any]) -> Collection[dict[str, Any]]:
    """The users collection. Nothing is sent before the first request.

    Options in the URI win, except for those about times and texts.
    Raises ConfigurationError if the driver refuses the URI.
    """
    mongo = PyMongo()
    try:
        mongo.init_app(app, settings["MONGO_URI"], **_options(settings))
    except (PyMongoError, ValueError, OSError) as error:  # the error text may contain part of the URI's password
        raise ConfigurationError(
            [
                f"FLASK_MONGO_URI is refused by the driver ({type(error).__name__}): percent-encode its user name and "
                "password, and check its hosts, ports and options"
            ]
        ) from None
    assert mongo.db is not None, "config refuses a URI without a database"
    # Even if the URI prefers secondaries: one that lags would accept a session that has ended.
    return mongo.db.get_collection(settings["USERS_COLLECTION"], read_preference=ReadPreference.PRIMARY)


def adopt(given: PyMongo | MongoClient[Any], settings: Mapping[str, Any]) -> Collection[dict[str, Any]]:
    """The users collection, through a client that belongs to the app that embeds the service.

    Times, texts and reads are as in ``connect``, and so are writes unless the client has a write concern.
    Raises ConfigurationError if the client names no database.
    """
    try:
        database = given.db if isinstance(given, PyMongo) else given.get_default_database()
    except PyMongoError:
        database = None
    if database is None:
        raise ConfigurationError(
            ["mongo must be a PyMongo that is bound to the app, or a MongoClient, whose URI names a database"]
        )
    is_silent = database.write_concern.is_server_default
    collection: Collection[dict[str, Any]] = database.get_collection(
        settings["USERS_COLLECTION"],
        codec_options=database.codec_options.with_options(
            tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
        ),
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern(w="majority", j=True) if is_silent else database.write_concern,
    )
    return collection


@asks_database
def ping() -> None:
    """Raises DatabaseUnavailable if no answer comes within MONGO_TIMEOUT_MS."""
    current_state().client.admin.command("ping")


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    in_uri = _options_in(settings["MONGO_URI"])
    defaults = {
        "timeoutMS": settings["MONGO_TIMEOUT_MS"],
        "maxPoolSize": CONNECTIONS_PER_WORKER,
        "w": "majority",
        "journal": True,
        "appname": "authservice",
    }
    fixed = {
        "tz_aware": True,
        # Users are read in batches: one value that Python cannot represent must not fail the whole batch. Examples are
        # JavaScript dates beyond Python's range, and bytes that are not UTF-8.
        "datetime_conversion": "DATETIME_AUTO",
        "unicode_decode_error_handler": "replace",
    }
    return {name: value for name, value in defaults.items() if name.lower() not in in_uri} | fixed


def _options_in(uri: str) -> set[str]:
    """The names of the options in a URI, in lower case, because the driver ignores case."""
    _, _, query = uri.partition("?")
    return {pair.partition("=")[0].lower() for pair in query.replace(";", "&").split("&")}
