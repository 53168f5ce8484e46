"""Records to bytes, in the three formats of the portal."""

from xml.sax.saxutils import escape

from .cells import MISSING, Tokens, encode, is_number, text_of

NUMBERS, QUOTED = Tokens(), Tokens(quoted=True)
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "xml": "application/xml"}


def json_records(rows, keys, quoted=False, pretty=False):
    """The records of a page without the brackets around them.

    `keys` are (place, key) of the columns wanted.  Rows whose cells are all
    present go through one template, which is what makes pages cheap.
    """
    tokens = QUOTED if quoted else NUMBERS
    places = [place for place, _ in keys]
    labels = [NUMBERS[key] for _, key in keys]
    template = _template(labels, pretty)
    records = []
    for row in rows:
        cells = [row[place] for place in places]
        if MISSING in cells:
            present = [n for n, cell in enumerate(cells) if cell is not MISSING]
            line = _template([labels[n] for n in present], pretty)
            records.append(line % tuple([tokens[cells[n]] for n in present]))
        else:
            records.append(template % tuple([tokens[cell] for cell in cells]))
    return encode((",\n" if pretty else ",").join(records))


def _template(labels, pretty):
    labels = [label.replace("%", "%%") for label in labels]
    if pretty:
        return "    {\n" + ",\n".join(f"      {label}: %s" for label in labels) + "\n    }"
    return "{" + ",".join(f"{label}:%s" for label in labels) + "}"


def csv_body(rows, columns):
    """The CSV of a page: field names on top, LF, quotes only where needed.

    `columns` are (place, name) of the columns wanted.
    """
    lines = [",".join(_csv_cell(name) for _, name in columns)]
    lines += [",".join(_csv_cell(text_of(row[place])) for place, _ in columns) for row in rows]
    return encode("\n".join(lines) + "\n")


def _csv_cell(text):
    if any(mark in text for mark in ' ,"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def xml_body(envelope, rows, keys):
    """The envelope as <result>, arrays as <item>."""
    records = "".join(
        "<item>" + "".join(f"<{key}>{escape(text_of(row[place]))}</{key}>" for place, key in keys) + "</item>"
        for row in rows
    )
    parts = []
    for key, value in envelope:
        body = records if key == "records" else _xml_value(value)
        parts.append(f"<{key}>{body}</{key}>")
    return encode('<?xml version="1.0" encoding="UTF-8"?>\n<result>' + "".join(parts) + "</result>\n")


def _xml_value(value):
    if isinstance(value, list):
        return "".join(f"<item>{_xml_value(item)}</item>" for item in value)
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml_value(item)}</{key}>" for key, item in value.items())
    return escape(text_of(value) if isinstance(value, str) or is_number(value) else str(value))
