"""/lists: metadata of all resources, open to everyone.

One entry carries an id that is no uuid, because the real list has such.
"""

import json

from . import envelope

MALFORMED_ID = "t_0c892b6a_3951_4f5e_9b2c_3c0de45a8f61"


def body(resources, views, query):
    """The JSON of /lists for a parsed query."""
    entries = [dict(envelope.metadata(resource, views[resource.alias])) for resource in resources]
    entries = [
        {key: envelope.jsonable(value) for key, value in entry.items() if key != "records"}
        for entry in entries
    ]
    entries.append(
        {**entries[0], "index_name": MALFORMED_ID, "title": "A resource with a malformed id", "active": "1"}
    )
    entries = [entry for entry in entries if _wanted(entry, query)]
    for name, desc in reversed(query.sort):
        entries.sort(key=lambda entry: _sortable(entry.get(name)), reverse=desc)
    limit = len(entries) if query.limit == "all" else query.limit
    page = entries[query.offset : query.offset + limit]
    return json.dumps(
        {
            "message": "Resource lists",
            "version": "2.2.0",
            "status": "ok",
            "total": len(entries),
            "count": len(page),
            "limit": query.limit_text,
            "offset": query.offset_text,
            "records": page,
        },
        ensure_ascii=False,
    ).encode()


def _wanted(entry, query):
    return all(str(entry.get(name)) == value for name, value in query.filters.items()) and all(
        str(entry.get(name)) != value for name, value in query.notfilters.items()
    )


def _sortable(value):
    return (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))
