"""Which URIs lead to another machine where everybody on the way can read."""

import pytest

from authservice.config import is_readable_on_the_network


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db/x",
        "mongodb://user:p%40ss@db.example.com:27017/x?authSource=admin",
        "mongodb://10.0.0.7/x",
        "mongodb://[2001:db8::1]:27017/x",
        "mongodb://127.0.0.1,db/x",
        "mongodb://localhost@db/x",
        "mongodb://localhost.example.com/x",
        "mongodb://db/x?tls=false",
        "mongodb://db/x?appname=tls%3Dtrue",
        "mongodb+srv://db.example.com/x?tls=false",
        "mongodb://db/x?tls=true&tlsInsecure=true",
        "mongodb+srv://db.example.com/x?tlsAllowInvalidCertificates=true",
    ],
)
def test_without_tls(uri):
    assert is_readable_on_the_network(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://127.0.0.1:27017/x",
        "mongodb://127.1.2.3/x",
        "mongodb://user:p%40ss@LOCALHOST:27017/x",
        "mongodb://[::1]:27017/x",
        "mongodb://localhost:27017,127.0.0.1:27018/x?replicaSet=rs0",
        "mongodb://%2Frun%2Fmongodb-27017.sock/x",
        "mongodb://db/x?tls=true",
        "mongodb://db/x?retryWrites=true&SSL=true",
        "mongodb://db/x?tlsCAFile=%2Fetc%2Fca.pem",
        "mongodb+srv://db.example.com/x",
    ],
)
def test_with_tls_or_on_this_machine(uri):
    assert not is_readable_on_the_network(uri)
