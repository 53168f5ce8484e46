"""The bodies with which the portal refuses, byte for byte as recorded.

The HTML of 502, 503 and 504 was never recorded; it is what nginx writes.
"""

import json
import time
from email.utils import formatdate

from .wire import Answer, reason

META_NOT_FOUND = {"message": "Meta not found", "version": "2.2.0", "status": "error"}
META_NOT_FOUND_RECORDS = {
    "version": "2.2.0",
    "status": "error",
    "message": "Meta not found",
    "total": 0,
    "records": [],
}
WORDS = {
    400: "Authorization field missing",
    401: "Authorization field missing",
    403: "Key not authorised",
    404: "Not found",
    429: "Rate limit exceeded",
    500: "There was a problem proxying the request",
}
HTML = (502, 503, 504)


def gateway(status, words=None):
    """An error of the gateway, as JSON."""
    return Answer(status, _recorded({"error": words or WORDS.get(status, reason(status))}))


def meta_not_found(with_records):
    """200 for a resource that does not exist, in either recorded shape."""
    return Answer(200, _recorded(META_NOT_FOUND_RECORDS if with_records else META_NOT_FOUND))


def service_error(message):
    """200 whose envelope says error."""
    return Answer(200, json.dumps({"message": message, "version": "2.2.0", "status": "error"}).encode())


def _recorded(document):
    return (json.dumps(document, indent=2) + "\n").encode()


def html(status):
    """The error page of a proxy."""
    title = f"{status} {reason(status)}"
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, text.encode(), "text/html")


def of_status(status, body=None, retry_after=None, headers=None):
    """Any status; body is "html", "json", a literal text, or None for what
    the portal sends with that status."""
    if body == "html" or (body is None and status in HTML):
        answer = html(status)
    elif body in (None, "json"):
        answer = gateway(status)
    else:
        answer = Answer(status, body.encode(), "text/plain")
    if retry_after is not None:
        answer.headers.append(("Retry-After", retry_text(retry_after)))
    answer.headers += list((headers or {}).items())
    return answer


def retry_text(value):
    """5 -> "5"; "date:5" -> the HTTP-date in five seconds; else verbatim, so
    that a malformed one can be sent."""
    if isinstance(value, str) and value.startswith("date:"):
        return formatdate(time.time() + float(value[len("date:") :]), usegmt=True)
    return str(value)
