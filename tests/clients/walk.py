"""A walk through the API with a client of openapi-python-client. mypy checks its types, and Python runs it."""

import datetime
import sys

from authservice_client import AuthenticatedClient, Client
from authservice_client.api.auth import end_session, end_sessions, list_sessions, refresh, sign_in, sign_out
from authservice_client.api.users import forget_device, list_devices, show_me, sign_up
from authservice_client.models import (
    CredentialsInvalidOrSecondFactorRequiredProblem,
    CrossSiteRefusedProblem,
    DeviceList,
    EmailTakenProblem,
    EndSessionsScope,
    Refresh,
    SessionList,
    SignIn,
    SignUp,
    Token,
    TokenExpiredOrTokenInvalidOrTokenMissingProblem,
    User,
    ValidationFailedProblem,
)
from authservice_client.types import Unset

url, email, password = sys.argv[1:]
anybody = Client(base_url=url, raise_on_unexpected_status=True)


def signed_in(tokens: Token) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=url, token=tokens.token, prefix=tokens.token_type, raise_on_unexpected_status=True
    )


# sign up
user = sign_up.sync(client=anybody, body=SignUp(email=email, password=password))
assert isinstance(user, User)
created_at: datetime.datetime | None = user.created_at
assert created_at is not None
again = sign_up.sync(client=anybody, body=SignUp(email=email, password=password))
assert isinstance(again, EmailTakenProblem)
assert again.code == "email_taken"
assert again.code != "last_admin"  # type: ignore[comparison-overlap] # sign-up never answers this code
short = sign_up.sync(client=anybody, body=SignUp(email="bob@example.com", password="short"))
assert isinstance(short, ValidationFailedProblem)
print("signed up;", *(f"{fault.pointer} {fault.code}" for fault in short.errors))

# sign in
first = sign_in.sync(client=anybody, body=SignIn(email=email, password=password))
assert isinstance(first, Token)
wrong = sign_in.sync(client=anybody, body=SignIn(email=email, password="wrong"))
assert isinstance(wrong, CredentialsInvalidOrSecondFactorRequiredProblem)
device_token: str | Unset = first.device_token
assert not isinstance(device_token, Unset)
known = sign_in.sync(client=anybody, body=SignIn(email=email, password=password, device_token=device_token))
assert isinstance(known, Token)
assert known.device_token == device_token
assert sign_out.sync_detailed(client=signed_in(known), body=Refresh()).status_code == 204
print("signed in")

# refresh
refresh_token: str | Unset = first.refresh_token
assert not isinstance(refresh_token, Unset)
tokens = refresh.sync(client=signed_in(first), body=Refresh(refresh_token=refresh_token))
assert isinstance(tokens, Token)
print("refreshed")

# refresh by cookie
answer = sign_in.sync_detailed(client=anybody, body=SignIn(email=email, password=password, cookie=True))
assert isinstance(answer.parsed, Token)
assert isinstance(answer.parsed.refresh_token, Unset)
browser = signed_in(answer.parsed).with_headers({"Cookie": answer.headers["Set-Cookie"].partition(";")[0]})
other = refresh.sync(client=browser, x_requested_with="walk")
assert isinstance(other, Token)
assert isinstance(refresh.sync(client=browser), CrossSiteRefusedProblem)
print("refreshed by cookie")

# sessions
mine = signed_in(tokens)
listed = list_sessions.sync(client=mine)
assert isinstance(listed, SessionList)
(another,) = (session for session in listed.sessions if not session.current)
assert end_session.sync_detailed(another.id, client=mine).status_code == 204
ended = show_me.sync(client=signed_in(other))
assert isinstance(ended, TokenExpiredOrTokenInvalidOrTokenMissingProblem)
scope: EndSessionsScope = "others"
assert end_sessions.sync_detailed(client=mine, scope=scope).status_code == 204
print("ended one")

# devices
devices = list_devices.sync(client=mine)
assert isinstance(devices, DeviceList)
(here,) = (device for device in devices.devices if device.current)
assert here.label
assert forget_device.sync_detailed(here.id, client=mine).status_code == 204
print("forgot a device")

# sign out
me = show_me.sync(client=mine)
assert isinstance(me, User)
assert me.id == user.id
assert sign_out.sync_detailed(client=mine, body=Refresh()).status_code == 204
out = show_me.sync(client=mine)
assert isinstance(out, TokenExpiredOrTokenInvalidOrTokenMissingProblem)
assert out.code == "token_invalid"
print("signed out")
