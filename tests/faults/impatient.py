"""``gunicorn tests.faults.impatient:app``: the service, whose waits for mails are a sixth of the real ones."""

from authservice import create_app
from authservice.mail import deliver, transport
from authservice.store import mail_requests, mails

deliver.POLL_SECONDS /= 6
deliver.BACKOFF_SECONDS /= 6
transport.CONVERSATION_SECONDS /= 6
mails.LEASE /= 6
mail_requests.LEASE /= 6
app = create_app()
