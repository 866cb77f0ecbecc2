"""The Flask extension objects: made once here, bound to an application in ``create_app``."""

from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_pymongo import PyMongo
from flask_smorest import Api

mongo = PyMongo()
jwt = JWTManager()
bcrypt = Bcrypt()
cors = CORS()
api = Api()
