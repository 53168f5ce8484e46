"""Bodies that no client should swallow whole, made as a stream."""

import zlib

from .cells import encode

SHAPES = ("records", "string", "spaces", "depth", "fields", "number", "zeros")
DEFAULTS = {"depth": 100_000, "fields": 5_000}
MIB = 1 << 20


def chunks(shape, size, head, record, tail):
    """`size` is bytes, or for depth and fields how many.  head and tail are
    the envelope's bytes around the records, record one record's bytes."""
    size = size or DEFAULTS.get(shape, 256 * MIB)
    if shape != "zeros":
        yield head
    yield from _MAKERS[shape](size, record)
    if shape != "zeros":
        yield tail


def _records(size, record):
    yield from _repeat(record + b",", max(0, size // (len(record) + 1)))
    yield record


def _filled(before, unit, after):
    def make(size, _record):
        yield before
        yield from _repeat(unit, size)
        yield after

    return make


def _repeat(unit, times):
    """The unit so many times, in blocks of about a MiB."""
    at_once = max(1, MIB // len(unit))
    block = unit * at_once
    for _ in range(times // at_once):
        yield block
    yield unit * (times % at_once)


def _depth(size, _record):
    yield b'{"state":'
    yield from _repeat(b"[", size)
    yield from _repeat(b"]", size)
    yield b"}"


def _fields(size, _record):
    yield encode("{" + ",".join(f'"field_{n}":{n}' for n in range(size)) + "}")


_MAKERS = {
    "records": _records,
    "string": _filled(b'{"state":"', b"x", b'"}'),
    "spaces": _filled(b"", b" ", b""),
    "number": _filled(b'{"min_price":', b"9", b"}"),
    "zeros": _filled(b"", b"\0", b""),
    "depth": _depth,
    "fields": _fields,
}


def gzipped(parts):
    """The stream compressed: small on the wire, huge once opened."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for part in parts:
        packed = packer.compress(part)
        if packed:
            yield packed
    yield packer.flush()
