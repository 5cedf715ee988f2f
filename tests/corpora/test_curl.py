"""What one download does that a server of plain HTTP cannot show."""

import http.server
import shutil
import ssl
import subprocess
import threading

import pytest

from hearsay.corpora.curl import fetch
from hearsay.errors import InputError

CONTENT = b"weights"


class Server(http.server.BaseHTTPRequestHandler):
    """Gives `CONTENT`, or sends on to the rest of the address."""

    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """The address of a server of HTTP and of one of HTTPS, whose certificate curl is told of."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    key, certificate = (tmp_path_factory.mktemp("tls") / name for name in ("key", "certificate"))
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", key, "-out", certificate, "-days", "2"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files]
    subprocess.run(new, check=True, capture_output=True)
    plain, secret = (http.server.ThreadingHTTPServer(("localhost", 0), Server) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secret.socket = context.wrap_socket(secret.socket, server_side=True)
    for server in (plain, secret):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURL_CA_BUNDLE", str(certificate))
        yield (
            f"http://localhost:{plain.server_address[1]}",
            f"https://localhost:{secret.server_address[1]}",
        )
    for server in (plain, secret):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("first", "then"), [(0, 0), (0, 1), (1, 1)])
def test_an_address_may_lead_to_another_as_safe(tmp_path, addresses, first, then):
    file = tmp_path / "file"
    fetch(f"{addresses[first]}/to/{addresses[then]}/file", file)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("written", ["https", "HTTPS"])
def test_a_secret_address_leads_to_no_open_one(tmp_path, addresses, written):
    """What is fetched without a checksum would be what anyone on the way makes of it."""
    plain, secret = addresses
    with pytest.raises(InputError, match=r"(?i)protocol .?http.? .*disabled"):
        fetch(f"{secret.replace('https', written)}/to/{plain}/file", tmp_path / "file")
    assert not (tmp_path / "file").exists()
