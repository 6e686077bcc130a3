"""An S3-protocol server on loopback, for the tests that need one: moto's, in a thread of this process."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers import server_package

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "loopback-key",
    "AWS_SECRET_ACCESS_KEY": "loopback-secret-value",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


@contextmanager
def running_s3() -> Iterator[str]:
    """Runs a server; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_package("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def put(address: str, bucket: str, files: Mapping[str, bytes | Path]) -> None:
    """Makes a bucket with these objects."""
    ask(address, "PUT", f"/{bucket}")
    for key, content in files.items():
        ask(address, "PUT", f"/{bucket}/{key}", content.read_bytes() if isinstance(content, Path) else content)


def ask(address: str, method: str, path: str, body: bytes = b"") -> bytes:
    """A plain request."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    # moto takes an object's region and owner from a signature's form; it does not check it.
    key = "AWS4-HMAC-SHA256 Credential=loopback-key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
    connection.request(method, path, body, {"Authorization": key, "Content-Length": str(len(body))})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status < 300, (answer.status, content)
    return content
