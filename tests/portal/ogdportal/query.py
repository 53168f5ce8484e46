"""The query string of a call, split into what the portal understands."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

BRACKETS = re.compile(r"(filters|notfilters|range|sort)\[([^\[\]]*)\](?:\[(gte|lte|gt|lt)\])?")
DEFAULT_LIMIT = 10


@dataclass
class Query:
    """limit is a number or "all"; limit_text and offset_text are echoed.

    `wrong` names the first parameter that is not what it should be.
    """

    key: str | None = None
    format: str = "json"
    limit: int | str = DEFAULT_LIMIT
    offset: int = 0
    limit_text: str = str(DEFAULT_LIMIT)
    offset_text: str = "0"
    filters: dict = field(default_factory=dict)
    notfilters: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)  # field -> {"gte": text, ...}
    sort: list = field(default_factory=list)  # (field, descending)
    fields: list | None = None
    wrong: str | None = None


def parse(text):
    """The Query of a query string; unknown parameters are ignored."""
    query = Query()
    for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
        brackets = BRACKETS.fullmatch(name)
        if brackets:
            _take_bracketed(query, *brackets.groups(), value)
        elif name in _PLAIN:
            _PLAIN[name](query, value)
    return query


def bare(name):
    """state.keyword -> state: the sub-field filters like the field."""
    return name[: -len(".keyword")] if name.endswith(".keyword") else name


def _take_bracketed(query, what, name, bound, value):
    name = bare(name)
    if what == "filters":
        query.filters[name] = value
    elif what == "notfilters":
        query.notfilters[name] = value
    elif what == "range" and bound:
        query.ranges.setdefault(name, {})[bound] = value
    elif what == "sort":
        query.sort.append((name, value.lower() == "desc"))


def _take_limit(query, value):
    query.limit_text = value
    if value == "all":
        query.limit = "all"
    elif value.isascii() and value.isdigit():
        query.limit = int(value)
    else:
        query.wrong = query.wrong or "limit"


def _take_offset(query, value):
    query.offset_text = value
    if value.isascii() and value.isdigit():
        query.offset = int(value)
    else:
        query.wrong = query.wrong or "offset"


def _take_format(query, value):
    query.format = value
    if value not in ("json", "csv", "xml"):
        query.wrong = query.wrong or "format"


def _take_key(query, value):
    query.key = value


def _take_fields(query, value):
    query.fields = [bare(name.strip()) for name in value.split(",") if name.strip()]


_PLAIN = {
    "api-key": _take_key,
    "format": _take_format,
    "limit": _take_limit,
    "offset": _take_offset,
    "fields": _take_fields,
}
