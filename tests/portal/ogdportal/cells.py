"""One value of one record, as it is served.

A row is a tuple of cells.  A cell is a str (JSON string), an int or a Num
(JSON number), None (null) or MISSING (the key is left out of the record).
Numbers never pass through a float: the digits made or replayed are the digits
served, because the daemon promises to keep them and a test must be able to
tell.
"""

import json


class Num:
    """A JSON number as the digits that are served."""

    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Num) and other.text == self.text

    def __hash__(self):
        return hash(("number", self.text))

    def __repr__(self):
        return f"Num({self.text})"


class _Missing:
    """The type of MISSING; it has one value."""

    def __repr__(self):
        return "MISSING"


MISSING = _Missing()


def is_number(cell):
    """True for a cell that is served as a JSON number."""
    return isinstance(cell, (int, Num))


def text_of(cell):
    """The cell as the portal's CSV and its exact-match filters see it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Num):
        return cell.text
    if cell is None or cell is MISSING:
        return ""
    return str(cell)


def plain(cell):
    """The cell for a document of ours, such as /truth; digits become text."""
    if cell is None or cell is MISSING:
        return None
    return text_of(cell)


class Tokens(dict):
    """Cell -> JSON token, remembered: rendering a row is then ten look-ups.

    `quoted` serves numbers as JSON strings, as the portal did until 2025.
    """

    LIMIT = 500_000  # distinct cells kept; a bound, far above any day

    def __init__(self, quoted=False):
        super().__init__()
        self.quoted = quoted

    def __missing__(self, cell):
        if len(self) >= self.LIMIT:
            self.clear()
        token = self[cell] = self._token(cell)
        return token

    def _token(self, cell):
        if is_number(cell):
            digits = text_of(cell)
            return f'"{digits}"' if self.quoted else digits
        if cell is None:
            return "null"
        return json.dumps(cell, ensure_ascii=False)


def encode(text):
    """Text to bytes; a lone surrogate stands for the raw byte of an invalid
    UTF-8 sequence that a test asked for."""
    return text.encode("utf-8", "surrogateescape")
