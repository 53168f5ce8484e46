"""How an answer travels: whole, cut, late, in drops, packed, or not at all.

Each fault is one coroutine over (wire, answer, rule) that returns whether the
connection may live on.  `wire` sends, waits (ending early when the client
goes away) and breaks the connection.
"""

import gzip
import time

from . import wire as http

LONG = 3600.0  # a stall without a stated end


async def deliver(wire, answer, rule, head_only):
    """Send the answer as the fault rule wants it; False: close afterwards."""
    send = _KINDS.get(rule.kind) if rule is not None else None
    if send is not None:
        return await send(wire, answer, rule)
    return await _whole(wire, answer, head_only)


async def _whole(wire, answer, head_only=False):
    if answer.chunks is not None:
        return await _stream(wire, answer)
    await wire.send(_head(wire, answer, len(answer.body)))
    if not head_only:
        await wire.send(answer.body)
    return wire.keep_alive


async def _stream(wire, answer):
    chunked = answer.length is None
    await wire.send(_head(wire, answer, "chunked" if chunked else answer.length))
    for part in answer.chunks:
        if part:
            await wire.send(http.chunk(part) if chunked else part)
    if chunked:
        await wire.send(http.chunk(b""))
    return wire.keep_alive


def _head(wire, answer, framing):
    return http.head(answer, time.time(), wire.keep_alive, framing)


def _at(rule, body):
    """The byte at which to stop: a number, or a share of the body."""
    at = rule.get("at", 0.5)
    return int(len(body) * at) if isinstance(at, float) else min(at, len(body))


async def _truncate(wire, answer, rule):
    """A body that ends cleanly for HTTP and in the middle for JSON."""
    part = answer.body[: _at(rule, answer.body)]
    if rule.get("framing", "close") == "chunked":
        await wire.send(_head(wire, answer, "chunked") + http.chunk(part) + http.chunk(b""))
        return wire.keep_alive
    if rule.get("framing") == "length":
        await wire.send(_head(wire, answer, len(part)) + part)
        return wire.keep_alive
    await wire.send(_head(wire, answer, "close") + part)
    return False


async def _cut(wire, answer, rule):
    """Fewer bytes than the declared length."""
    await wire.send(_head(wire, answer, len(answer.body)) + answer.body[: _at(rule, answer.body)])
    if rule.get("reset"):
        wire.reset()
    return False


async def _chunk_cut(wire, answer, rule):
    """A chunked body without its last chunk."""
    await wire.send(
        _head(wire, answer, "chunked") + http.chunk(answer.body[: max(1, _at(rule, answer.body))])
    )
    return False


async def _chunked(wire, answer, rule):
    """The same answer without a length, in chunks."""
    size = max(1, rule.get("bytes", 16384))
    await wire.send(_head(wire, answer, "chunked"))
    for start in range(0, len(answer.body), size):
        await wire.send(http.chunk(answer.body[start : start + size]))
    await wire.send(http.chunk(b""))
    return wire.keep_alive


async def _stall(wire, answer, rule):
    """Silence before the first byte; then the answer, or the end."""
    stayed = await wire.wait(rule.get("seconds", LONG))
    if stayed and rule.get("then", "close") == "answer":
        return await _whole(wire, answer)
    return False


async def _stall_body(wire, answer, rule):
    """Silence in the middle of the body."""
    at = _at(rule, answer.body)
    await wire.send(_head(wire, answer, len(answer.body)) + answer.body[:at])
    stayed = await wire.wait(rule.get("seconds", LONG))
    if stayed and rule.get("then", "close") == "answer":
        await wire.send(answer.body[at:])
        return wire.keep_alive
    return False


async def _drip(wire, answer, rule):
    """A few bytes now and then, head included."""
    data = _head(wire, answer, len(answer.body)) + answer.body
    size, pause = max(1, rule.get("bytes", 16)), rule.get("pause", 0.1)
    for start in range(0, len(data), size):
        await wire.send(data[start : start + size])
        if not await wire.wait(pause):
            return False
    return wire.keep_alive


async def _slow(wire, answer, rule):
    """Late, but whole."""
    if not await wire.wait(rule.get("seconds", 1.0)):
        return False
    return await _whole(wire, answer)


async def _gzip(wire, answer, _rule):
    answer.body = gzip.compress(answer.body, 1, mtime=0)
    answer.headers = answer.headers + [("Content-Encoding", "gzip")]
    return await _whole(wire, answer)


async def _bad_gzip(wire, answer, rule):
    """Compressed, then damaged from a byte on."""
    packed = bytearray(gzip.compress(answer.body, 1, mtime=0))
    for place in range(max(10, _at(rule, packed)), len(packed)):
        packed[place] ^= 0x5A
    answer.body = bytes(packed)
    answer.headers = answer.headers + [("Content-Encoding", "gzip")]
    return await _whole(wire, answer)


MALFORMED = {
    "garbage": b"\x00\x01\x02 not http at all\r\n\r\n",
    "status": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}",
    "header": b"HTTP/1.1 200 OK\r\nthis line has no colon\r\nContent-Length: 2\r\n\r\n{}",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: twelve\r\n\r\n{}",
    "two_lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "http09": b'{"records":[]}',
    "no_end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    "huge_header": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\nContent-Length: 2\r\n\r\n{}",
    "many_headers": b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 20000 + b"Content-Length: 2\r\n\r\n{}",
}


async def _malformed(wire, _answer, rule):
    await wire.send(MALFORMED.get(rule.get("shape", "garbage"), MALFORMED["garbage"]))
    return False


async def _close(_wire, _answer, _rule):
    """Not a byte: curl calls it an empty reply."""
    return False


async def _reset(wire, _answer, _rule):
    wire.reset()
    return False


async def _close_after(wire, answer, _rule):
    """Promise keep-alive, then close: the client's next request meets it."""
    await _whole(wire, answer)
    return False


_KINDS = {
    "truncate": _truncate,
    "cut": _cut,
    "chunk_cut": _chunk_cut,
    "chunked": _chunked,
    "stall": _stall,
    "stall_body": _stall_body,
    "drip": _drip,
    "slow": _slow,
    "gzip": _gzip,
    "bad_gzip": _bad_gzip,
    "malformed": _malformed,
    "close": _close,
    "reset": _reset,
    "close_after": _close_after,
}
