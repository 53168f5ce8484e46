"""The renaming of autumn 2025, switchable and datable.

Names are made in the old spelling.  The new one adds " APMC" to most markets,
drops the blank before "(" in commodities, and respells two states.
"""

import zlib

OLD = {"apmc": False, "parenthesis": False, "uttarakhand": False, "keralam": False}
NEW = {"apmc": True, "parenthesis": True, "uttarakhand": True, "keralam": True}
WITHOUT_SUFFIX = 5  # of 100 markets, as recorded


def rules_of(settings, date):
    """The renaming in force for a date."""
    wanted = settings["vocabulary"]
    start = settings["vocabulary_from"]
    if start is not None and date is not None and date.isoformat() < start:
        return OLD
    if isinstance(wanted, dict):
        return {**OLD, **wanted}
    return NEW if wanted == "new" else OLD


def rename(rows, columns, settings, date):
    """The rows in the spelling of their date."""
    rules = rules_of(settings, date)
    places = {column.id: place for place, column in enumerate(columns)}
    if rules == OLD or not {"state", "market", "commodity"} <= places.keys():
        return rows
    renamed = _Renamed(rules)
    state, market, commodity = places["state"], places["market"], places["commodity"]
    result = []
    for row in rows:
        row = list(row)
        row[state] = renamed["state", row[state]]
        row[market] = renamed["market", row[market]]
        row[commodity] = renamed["commodity", row[commodity]]
        result.append(tuple(row))
    return result


class _Renamed(dict):
    """(column, name) -> new name, worked out once."""

    def __init__(self, rules):
        super().__init__()
        self.rules = rules

    def __missing__(self, key):
        column, name = key
        new = {"state": self._state, "market": self._market, "commodity": self._commodity}[column](name)
        self[key] = new
        return new

    def _state(self, name):
        if name == "Uttrakhand" and self.rules["uttarakhand"]:
            return "Uttarakhand"
        if name == "Kerala" and self.rules["keralam"]:
            return "Keralam"
        return name

    def _market(self, name):
        if not self.rules["apmc"] or not isinstance(name, str):
            return name
        if zlib.crc32(name.encode()) % 100 < WITHOUT_SUFFIX:
            return name
        bare = name.rstrip()
        return f"{bare} APMC" + name[len(bare) :]

    def _commodity(self, name):
        if not self.rules["parenthesis"] or not isinstance(name, str):
            return name
        return name.replace(" (", "(")
