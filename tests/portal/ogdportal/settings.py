"""The control document: every setting, its default, its check.

A document is applied as a whole or not at all, and an unknown key is an
error: a test with a misspelt fault must fail loudly, not pass by accident.
Settings of a resource may stand at the top level (then they hold for all
resources) or under "resources": {"daily": {...}} (then for that one).  null
puts a setting back to its default.
"""

import copy
import json

from . import columns, faults, overlay
from .mandi import parse_iso

ALIASES = {
    "daily": "9ef84268-d588-465a-a308-a864a43d0070",
    "history": "35985678-0d79-46b4-9ed6-6f13308a1d24",
    "air": "3b01bcb8-0b14-4abf-b6f2-c1bfd384ba69",
    "pincode": "5c2f62fe-5afa-4119-a499-fec9d604d5bd",
}


class SettingsError(ValueError):
    """The document is wrong; the text says where."""


def _need(condition, expected):
    if not condition:
        raise SettingsError(f"expected {expected}")


def _count(value):
    _need(isinstance(value, int) and not isinstance(value, bool) and value >= 0, "a number of 0 or more")


def _integer(value):
    _need(isinstance(value, int) and not isinstance(value, bool), "a whole number")


def _number(value):
    _need(isinstance(value, (int, float)) and not isinstance(value, bool), "a number")


def _seconds(value):
    _need(isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0, "seconds")


def _share(value):
    _need(
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1,
        "a share of 0 to 1",
    )


def _flag(value):
    _need(isinstance(value, bool), "true or false")


def _one_of(*words):
    def check(value):
        _need(value in words, "one of " + ", ".join(map(repr, words)))

    return check


def _or_null(check):
    def check_or_null(value):
        if value is not None:
            check(value)

    return check_or_null


def _iso(value):
    _need(isinstance(value, str), "a date YYYY-MM-DD")
    try:
        parse_iso(value)
    except ValueError:
        _need(False, "a date YYYY-MM-DD")


def _days(value):
    _need(isinstance(value, str) and ".." in value, "FROM..TO")
    first, last = value.split("..", 1)
    _iso(first)
    if last:
        _iso(last)
        _need(parse_iso(first) <= parse_iso(last), "FROM not after TO")


def _list_of(check):
    def check_list(value):
        _need(isinstance(value, list), "a list")
        for item in value:
            check(item)

    return check_list


def _map_of(check_key, check_value):
    def check_map(value):
        _need(isinstance(value, dict), "an object")
        for key, item in value.items():
            check_key(key)
            check_value(item)

    return check_map


def _object(**checks):
    """An object whose keys are all optional, and known."""

    def check_object(value):
        _need(isinstance(value, dict), "an object")
        for key, item in value.items():
            _need(key in checks, "one of the keys " + ", ".join(checks))
            checks[key](item)

    return check_object


def _text(value):
    _need(isinstance(value, str), "a text")


def _anything(_value):
    pass


def _fill(value):
    if isinstance(value, dict):
        _object(start=_share, per_call=_number, least=_share, most=_share)(value)
    else:
        _share(value)


def _corrected(value):
    if isinstance(value, dict):
        _object(rows=_count, round=_count)(value)
    else:
        _count(value)


def _overlap(value):
    if isinstance(value, dict):
        _object(rows=_count, extra=_flag)(value)
    else:
        _count(value)


def _vocabulary(value):
    if isinstance(value, dict):
        _object(apmc=_flag, parenthesis=_flag, uttarakhand=_flag, keralam=_flag)(value)
    else:
        _one_of("old", "new")(value)


def _bad(value):
    _map_of(overlay.check_bad_kind, _count)(value)


def _rules(value):
    _list_of(faults.Rule)(value)


def _every(value):
    _need(isinstance(value, dict), "an object")
    faults.rules_of_every(value)


def _later(value):
    def check(item):
        _object(after=_count, set=_anything)(item)
        _need("after" in item and isinstance(item.get("set"), dict), '{"after": n, "set": {...}}')
        check_document(item["set"])

    _list_of(check)(value)


# name: (default, check) of the settings one resource can have for itself.
RESOURCE = {
    "filters": ("apply", _one_of("apply", "ignore", "zero")),
    "unknown_filter": ("ignore", _one_of("ignore", "zero")),
    "date_filter": ("apply", _one_of("apply", "ignore")),
    "sort": ("apply", _one_of("apply", "ignore")),
    "unsorted": ("shuffle", _one_of("shuffle", "stable")),
    "jitter": (0.1, _share),
    "page_cap": (None, _or_null(_count)),
    "ignore_limit": (None, _or_null(_count)),
    "limit_max": (50_000, _count),
    "all_max": (10_000, _count),
    "deep_offset": (None, _or_null(_count)),
    "overlap": (0, _overlap),
    "total_offset": (0, _integer),
    "fill": (1.0, _fill),
    "edition": (0, _count),
    "rows": (None, _or_null(_count)),
    "hour": (12, _count),
    "missing_dates": ([], _list_of(_iso)),
    "partial_dates": ({}, _map_of(_iso, _share)),
    "corrected": ({}, _map_of(_iso, _corrected)),
    "bad": ({}, _bad),
    "duplicates": (0, _count),
    "conflicts": (0, _count),
    "prices": ("number", _one_of("number", "string")),
    "schema": (None, _or_null(_one_of(*columns.MANDI_SCHEMAS, *columns.AIR_SCHEMAS))),
    "rename": ({}, _map_of(_text, _text)),
    "drop": ([], _list_of(_text)),
    "vocabulary": ("old", _vocabulary),
    "vocabulary_from": (None, _or_null(_iso)),
    "envelope_order": ("recorded", _one_of("recorded", "records_first", "records_last")),
}

# The same for the whole portal.
GLOBAL = {
    "today": (None, _or_null(_iso)),
    "days": (None, _or_null(_days)),
    "lag": (0, _count),
    "keys": ([], _list_of(_text)),
    "sample_keys": ([], _list_of(_text)),
    "rate": (
        None,
        _or_null(
            _object(calls=_count, window=_seconds, only=_one_of("sample", "all"), retry_after=_anything)
        ),
    ),
    "user_agent": ("any", _one_of("any", "strict")),
    "user_agent_hang": (45, _seconds),
    "latency": ({}, _object(base=_seconds, per_row=_seconds, scale=_seconds)),
    "unknown_resource": ("bare", _one_of("bare", "records", "alternate")),
    "pretty": (False, _flag),
    "faults": ([], _rules),
    "every": ({}, _every),
    "later": ([], _later),
}

# Where a resource behaves differently from the rest by nature.
NATURE = {
    "daily": {"date_filter": "ignore", "schema": "lower"},
    "history": {"schema": "title"},
    "air": {"schema": "value"},
    "pincode": {"schema": "lower"},
}


def check_document(document):
    """Raise SettingsError unless every key and value is good."""
    if not isinstance(document, dict):
        raise SettingsError("the control document is not an object")
    for key, value in document.items():
        if key == "resources":
            _check_resources(value)
        else:
            _check_one(key, value, {**GLOBAL, **RESOURCE}, key)


def _check_resources(value):
    if not isinstance(value, dict):
        raise SettingsError("resources: expected an object")
    for name, part in value.items():
        if not isinstance(part, dict):
            raise SettingsError(f"resources.{name}: expected an object")
        for key, item in part.items():
            _check_one(key, item, RESOURCE, f"resources.{name}.{key}")


def _check_one(key, value, table, where):
    if key not in table:
        raise SettingsError(f"{where}: no such setting")
    if value is None:
        return
    try:
        table[key][1](value)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None


class Settings:
    """The settings in force.  `changes` counts the documents applied."""

    def __init__(self, document=None):
        self._global = {}
        self._shared = {}
        self._own = {}
        self.changes = 0
        if document:
            self.apply(document)

    def apply(self, document):
        """Check the whole document, then take it over."""
        check_document(document)
        document = copy.deepcopy(document)
        for name, part in document.pop("resources", {}).items():
            _merge(self._own.setdefault(alias_of(name), {}), part)
        for key, value in document.items():
            _merge(self._global if key in GLOBAL else self._shared, {key: value})
        self.changes += 1

    def __getitem__(self, key):
        return self._global.get(key, GLOBAL[key][0])

    def of(self, alias):
        """All settings of one resource as a plain dict."""
        merged = {key: default for key, (default, _) in RESOURCE.items()}
        merged.update(NATURE.get(alias, {}))
        merged.update(self._shared)
        merged.update(self._own.get(alias, {}))
        return merged

    def document(self):
        """What is in force, in the form that POST /control takes."""
        whole = {key: self[key] for key in GLOBAL}
        whole.update(self._shared)
        whole["resources"] = copy.deepcopy(self._own)
        return whole


def _merge(into, part):
    for key, value in part.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value


def alias_of(name):
    """daily, or the resource's uuid, to the alias; others stay as they are."""
    for alias, uuid in ALIASES.items():
        if name in (alias, uuid):
            return alias
    return name


def parse(text):
    """JSON of --fault or POST /control to a document.

    A single fault rule and a list of rules are short for {"faults": [...]}.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"not JSON: {error}") from None
    if isinstance(value, list):
        value = {"faults": value}
    elif isinstance(value, dict) and "kind" in value:
        value = {"faults": [value]}
    check_document(value)
    return value
