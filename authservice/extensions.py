"""The Flask extension objects: made once here, bound to an application in ``create_app``."""

from typing import Any

from flask import Flask
from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_pymongo import PyMongo
from flask_smorest import Api
from pymongo import ReadPreference
from pymongo.collection import Collection


class Mongo(PyMongo):
    """flask-pymongo, with its one collection kept: the walk to it costs as much as a JSON body."""

    users: Collection[dict[str, Any]]

    def init_app(self, app: Flask, uri: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().init_app(app, uri, *args, **kwargs)
        assert self.db is not None, "config refuses a URI without a database"
        # Whatever the URI says of other reads: a secondary that lags would let pass a session that was ended.
        self.users = self.db.get_collection(app.config["USERS_COLLECTION"], read_preference=ReadPreference.PRIMARY)


mongo = Mongo()
jwt = JWTManager()
bcrypt = Bcrypt()
cors = CORS()
api = Api()
