"""What stands around the records: key order and types as recorded.

The daily resource ends with its records; the historical one was recorded in
alphabetical order, so that `total` comes after them.  Clients must cope with
both, which is why both are kept.
"""

import calendar as stdlib_calendar
import datetime
import json

from .cells import Num, encode
from .columns import NUMBER

MARK = "@records@"
RECORDS_LAST = ("message", "version", "status", "total", "count", "limit", "offset", "records")
MANDI_CATALOG = "6141ea17-a69d-4713-b600-0a43c8fd9a6c"
AGRICULTURE = ["Ministry of Agriculture and Farmers Welfare", "Department of Agriculture and Farmers Welfare"]

META = {
    "daily": {
        "created": 1627939168,
        "org": AGRICULTURE,
        "index": "daily_mandi_price",
        "catalog": MANDI_CATALOG,
        "visualizable": "1",
        "sector": ["Agriculture", "Agricultural Marketing"],
        "title": "Current Daily Price of Various Commodities from Various Markets (Mandi)",
    },
    "history": {
        "created": 1695098583,
        "org": AGRICULTURE + ["Directorate of Marketing and Inspection (DMI)"],
        "index": "agmarknet",
        "catalog": MANDI_CATALOG,
        "visualizable": "0",
        "sector": ["Agriculture", "Agricultural Marketing"],
        "title": "Variety-wise Daily Market Prices Data of Commodity",
    },
    "air": {
        "created": 1543320551,
        "org": ["Ministry of Environment and Forests", "Central Pollution Control Board"],
        "index": "aqi",
        "catalog": "a3e7afc6-b799-4ede-b143-8e074b27e062",
        "visualizable": "1",
        "sector": ["Environment and Forest", "Industrial Air Pollution"],
        "title": "Real time Air Quality Index from various locations",
    },
    "pincode": {  # created in milliseconds while updated is in seconds: recorded on other resources
        "created": 1687434829260,
        "org": ["Ministry of Communications", "Department of Posts"],
        "index": "api",
        "catalog": "709e9d78-bf11-487d-93fd-d547d24cc0ef",
        "visualizable": "0",
        "sector": ["Postal"],
        "title": "All India Pincode Directory till last month",
    },
}


def field_block(resource, settings):
    """field[]: name, id, type, in the order recorded for the resource."""
    block = []
    for (place, key), name in zip(resource.keys(settings), field_names(resource, settings)):
        column = resource.columns[place]
        served = column.served
        if column.kind == NUMBER and settings["prices"] == "string" and resource.alias == "history":
            served = "keyword"
        entry = {"name": name, "id": key, "type": served}
        block.append(dict(sorted(entry.items())) if resource.alias == "history" else entry)
    return block


def field_names(resource, settings):
    """The names that CSV headers carry where JSON carries ids."""
    spelling = {"daily": "x0020", "history": "title"}.get(resource.alias)
    names = []
    for place, key in resource.keys(settings):
        column = resource.columns[place]
        renamed = column.id in settings["rename"]
        names.append(key if renamed or spelling is None else column.key(spelling))
    return names


def _exposed_daily(resource, settings):
    keys = dict((resource.columns[place].id, key) for place, key in resource.keys(settings))
    names = ("State", "District", "Market", "Commodity", "Variety", "Grade")
    ids = [keys.get(name.lower(), name.lower()) for name in names]
    ids[0] += ".keyword"
    return [{"name": name, "id": field_id, "type": "keyword"} for name, field_id in zip(names, ids)]


HISTORY_EXTRA = {
    "field_dependent": {"State.keyword": {"child": "District.keyword", "parent": "State.keyword"}},
    "field_exposed": [
        {"id": "State.keyword", "mandatory": True, "name": "State", "type": "keyword"},
        {"id": "District.keyword", "mandatory": True, "name": "District", "type": "keyword"},
        {"id": "Commodity.keyword", "name": "Commodity", "type": "keyword"},
        {"format": "dd-MM-yyyy", "id": "Arrival_Date", "name": "Arrival Date", "type": "date"},
    ],
    "order": [{"id": "Market.keyword", "name": "Market"}, {"id": "Commodity.keyword", "name": "Commodity"}],
}


def updated_at(resource, view):
    """Seconds: moves with the day, with its filling and with each change of
    settings, as the portal re-indexes whenever the data moved."""
    dates = resource.dates(view.calendar) or [view.calendar.today]
    day = dates[-1] or view.calendar.today
    midnight = stdlib_calendar.timegm(day.timetuple())
    return midnight + int(50_000 * view.share) + 60 * view.version + view.settings["edition"]


def _iso(seconds):
    if seconds > 10_000_000_000:
        seconds //= 1000
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(resource, view):
    """Everything about the resource itself, as a list of (key, value)."""
    if resource.meta is not None:
        return list(resource.meta.items())
    meta, updated = META[resource.alias], updated_at(resource, view)
    pairs = [
        ("created", meta["created"]),
        ("updated", updated),
        ("created_date", _iso(meta["created"])),
        ("updated_date", _iso(updated)),
        ("active", "1"),
        ("index_name", resource.uuid),
        ("org", meta["org"]),
        ("org_type", "Central"),
        ("source", "data.gov.in"),
        ("title", meta["title"]),
        ("external_ws_url", ""),
        ("visualizable", meta["visualizable"]),
        ("field", field_block(resource, view.settings)),
        ("external_ws", 0),
        ("catalog_uuid", meta["catalog"]),
        ("sector", meta["sector"]),
        ("target_bucket", {"field": resource.uuid, "index": meta["index"], "type": meta["catalog"]}),
        ("desc", meta["title"]),
    ]
    if resource.alias == "daily":
        pairs.append(("field_exposed", _exposed_daily(resource, view.settings)))
    if resource.alias == "history":
        pairs += HISTORY_EXTRA.items()
    return pairs


def build(resource, view, total, count, query):
    """The whole envelope in order; records hold a mark."""
    given = {
        "message": "Resource lists",
        "version": "2.2.0",
        "status": "ok",
        "total": total,
        "count": count,
        "limit": query.limit_text,
        "offset": query.offset_text,
        "records": MARK,
    }
    pairs = metadata(resource, view)
    replayed = dict(pairs).keys() & given.keys()
    pairs = [(key, given.get(key, value)) for key, value in pairs]
    pairs += [(key, given[key]) for key in RECORDS_LAST if key not in replayed]
    return _in_order(pairs, resource, view.settings["envelope_order"])


def _in_order(pairs, resource, order):
    if order == "recorded":
        return sorted(pairs) if resource.alias == "history" and resource.meta is None else pairs
    records = [pair for pair in pairs if pair[0] == "records"]
    others = [pair for pair in pairs if pair[0] != "records"]
    return records + others if order == "records_first" else others + records


def jsonable(value):
    """A value of a replayed envelope for the json module."""
    if isinstance(value, Num):
        return int(value.text) if value.text.lstrip("-").isdigit() else float(value.text)
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return value


def json_body(pairs, records, pretty):
    """Envelope and rendered records to the body."""
    document = {key: jsonable(value) for key, value in pairs}
    if pretty:
        text = json.dumps(document, ensure_ascii=False, indent=2)
        mark, filled = f'"{MARK}"', b"[\n" + records + b"\n  ]" if records else b"[]"
    else:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        mark, filled = f'"{MARK}"', b"[" + records + b"]"
    head, tail = text.split(mark, 1)
    return b"".join((encode(head), filled, encode(tail)))
