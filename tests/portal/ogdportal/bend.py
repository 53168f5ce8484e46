"""Faults that change what is answered (deliver.py has those that change how
the answer travels)."""

from . import errors, huge
from .faults import ANSWER_KINDS
from .wire import Answer

PAGE_KINDS = ("empty", "short", "first_page")


def needs_page(rule):
    """Whether the fault starts from the answer that was due."""
    return (
        rule is None
        or rule.kind not in ANSWER_KINDS
        or rule.kind in PAGE_KINDS + ("array", "bom", "trailing", "wrong_type", "huge")
    )


def bent(rule, answer):
    """The answer that goes out: `answer` is what was due, or None."""
    make = _MAKERS.get(rule.kind) if rule is not None else None
    return make(rule, answer) if make else answer


def _status(rule, _answer):
    return errors.of_status(
        rule.get("status", 502), rule.get("body"), rule.get("retry_after"), rule.get("headers")
    )


def _error(rule, _answer):
    return errors.service_error(rule.get("message", "Something went wrong"))


def _empty_body(rule, _answer):
    return Answer(200, b"", rule.get("content_type", "application/json"))


def _not_json(rule, _answer):
    return Answer(200, rule.get("body", "upstream connect error or disconnect/reset before headers").encode())


def _html(rule, _answer):
    page = rule.get(
        "body",
        "<html><head><title>Maintenance</title></head><body>data.gov.in is under maintenance</body></html>",
    )
    return Answer(200, page.encode(), "text/html; charset=utf-8")


def _redirect(rule, _answer):
    """To another origin, still on loopback: port 9 discards, and nothing of a
    test may ever leave the machine."""
    location = rule.get("location", "http://127.0.0.2:9/elsewhere")
    return Answer(rule.get("status", 302), b"", "text/html", [("Location", location)])


def _array(_rule, answer):
    answer.body = b"[" + answer.body + b"]"
    return answer


def _bom(_rule, answer):
    answer.body = b"\xef\xbb\xbf" + answer.body
    return answer


def _trailing(rule, answer):
    answer.body += rule.get("body", "}\ngarbage").encode()
    return answer


def _wrong_type(rule, answer):
    answer.content_type = rule.get("content_type", "text/html")
    return answer


def _huge(rule, answer):
    """The envelope that was due, its records replaced by a flood."""
    if answer.status != 200:
        return answer
    head, record, tail = _split(answer.body)
    shape, size = rule.get("shape", "records"), rule.get("bytes")
    parts = huge.chunks(shape, size, head, record, tail)
    result = Answer(200, chunks=parts, rows=0)
    if rule.get("gzip"):
        result.chunks = huge.gzipped(parts)
        result.headers.append(("Content-Encoding", "gzip"))
    elif rule.get("declared"):
        result.length = sum(map(len, huge.chunks(shape, size, head, record, tail)))
    return result


def _split(body):
    """(envelope before the records, one record, envelope after)."""
    start = body.find(b'"records":')
    start = body.find(b"[", start) + 1
    first_end = body.find(b"}", start) + 1
    end = body.find(b"}]", start)
    if end < 0:
        return body[:start], b"{}", body[body.find(b"]", start) :]
    return body[:start], body[start:first_end], body[end + 1 :]


_MAKERS = {
    "status": _status,
    "error": _error,
    "empty_body": _empty_body,
    "not_json": _not_json,
    "html": _html,
    "redirect": _redirect,
    "array": _array,
    "bom": _bom,
    "trailing": _trailing,
    "wrong_type": _wrong_type,
    "huge": _huge,
}
