"""A real Postfix on loopback, which takes mails over STARTTLS alone and hands them on to a sink."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.needs import missing
from tests.server.processes import wait_until
from tests.service import free_port

NAME = "localhost"
REFUSED, POSTPONED = "refused@example.com", "postponed@example.com"
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
daemon_directory = {daemons}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = {name}
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ {refused} = REJECT }}, {{ {postponed} = DEFER }} }}, permit_mynetworks, reject
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificate}
smtpd_tls_received_header = yes
relayhost = [127.0.0.1]:{sink}
"""


@contextmanager
def running(certificate: Path, sink: int) -> Iterator[tuple[int, Path]]:
    """Its port and its log. ``sink`` is the port that it hands mails on to."""
    program = shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing("no postfix: apt-get install --no-install-recommends postfix")
    if os.geteuid() != 0:
        missing("Postfix can only be started by root")
    # Not a folder of pytest: only root can read these, and the parts of Postfix are other users
    with tempfile.TemporaryDirectory(prefix="postfix-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        for part in ("queue", "data"):
            (folder / part).mkdir()
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        daemons = subprocess.check_output(["postconf", "-dh", "daemon_directory"], text=True).strip()
        facts = {"folder": folder, "daemons": daemons, "name": NAME, "certificate": certificate, "sink": sink}
        (folder / "main.cf").write_text(MAIN.format(refused=REFUSED, postponed=POSTPONED, **facts))
        (folder / "master.cf").write_text(MASTER.format(port=port))
        log = folder / "log"
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen([program, "-c", folder, "start-fg"], stdout=output, stderr=output)
        try:
            wait_until(lambda: process.poll() is not None or (log.exists() and "daemon started" in log.read_text()))
            assert process.poll() is None, (folder / "output").read_text()
            yield port, log
        finally:
            subprocess.run([program, "-c", folder, "stop"], capture_output=True, check=False)
            process.wait(30)
