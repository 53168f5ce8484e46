"""HTTP/1.1 as far as the portal speaks it: a request in, a head out."""

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

MOST_HEADER_BYTES = 65536
MOST_BODY_BYTES = 4 * 1024 * 1024
RESET_AHEAD = 21 * 86400  # X-RateLimit-Reset lies about three weeks ahead

# As recorded on 2025-10-29.  "Remaining: 0" with "Limit: -1" means unlimited.
GATEWAY_HEADERS = [
    (
        "Access-Control-Allow-Headers",
        "Content-Type, Depth, User-Agent, X-File-Size, X-Requested-With, If-Modified-Since, X-File-Name, "
        "Cache-Control, Access-Control-Allow-Origin",
    ),
    ("Access-Control-Allow-Methods", "GET"),
    ("Access-Control-Allow-Origin", "*"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Content-Security-Policy", "default-src 'self'; object-src 'none'; script-src 'self';"),
    (
        "Permissions-Policy",
        "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), encrypted-media=(), "
        "fullscreen=(), geolocation=(), gyroscope=(), interest-cohort=(), magnetometer=(), microphone=(), "
        "payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(), usb=(), "
        "web-share=(), xr-spatial-tracking=()",
    ),
    ("Referrer-Policy", "Same-Origin"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload;"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-XSS-Protection", "1; mode=block"),
]


class BadRequest(Exception):
    """What the client sent is not HTTP that we accept."""


@dataclass
class Request:
    method: str
    path: str
    query: str
    version: str
    headers: dict  # lower-case name -> value
    body: bytes = b""

    @property
    def keep_alive(self):
        wish = self.headers.get("connection", "").lower()
        return "close" not in wish and (self.version == "HTTP/1.1" or "keep-alive" in wish)


@dataclass
class Answer:
    """A response before it meets the wire.

    `chunks` replaces the body where it is too large to hold; `length` then
    says how long it is, or None for chunked.  `rows` is for the log.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: list = field(default_factory=list)
    chunks: object = None
    length: int | None = None
    rows: int = 0


async def read_request(reader):
    """The next request, or None when the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest("header too large") from None
    request = _parse_head(head)
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MOST_BODY_BYTES:
        raise BadRequest("content-length")
    try:
        request.body = await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        return None
    return request


def _parse_head(head):
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise BadRequest("request line") from None
    headers = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    if "://" in target:  # the form a proxy is sent
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    path, _, query = target.partition("?")
    return Request(method, path, query, version, headers)


def head(answer, now, keep_alive, framing):
    """The response head.  `framing` is a declared length, "chunked", or
    "close" for a body that ends with the connection."""
    lines = [f"HTTP/1.1 {answer.status} {reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in GATEWAY_HEADERS]
    lines.append(f"Content-Type: {answer.content_type}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing != "close":
        lines.append(f"Content-Length: {framing}")
    lines.append(f"Date: {formatdate(now, usegmt=True)}")
    lines += [
        "X-RateLimit-Limit: -1",
        "X-RateLimit-Remaining: 0",
        f"X-RateLimit-Reset: {int(now) + RESET_AHEAD}",
    ]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines.append(f"Connection: {'keep-alive' if keep_alive and framing != 'close' else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def reason(status):
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def chunk(data):
    """One chunk of a chunked body; b"" is the last."""
    return b"%x\r\n%s\r\n" % (len(data), data)
