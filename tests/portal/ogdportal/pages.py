"""One page of one resource: the answer to a call that nothing disturbs."""

from . import envelope, errors, render
from .lru import Lru
from .selection import Selection
from .wire import Answer

SAMPLE_ROWS = 10


class Pages:
    """Builds pages and keeps the bodies, so that a benchmark measures the
    client: a page asked for again costs a look-up."""

    def __init__(self, shelf, most_bytes):
        self.shelf = shelf
        self.bodies = Lru(most_bytes)

    def answer(self, resource, view, query, sample, variant, rule, pretty):
        """The Answer; `rule` may be a fault that bends the page itself."""
        refusal = _refusal(view.settings, query)
        if refusal is not None:
            return refusal
        plan = _Plan(resource, view, query, sample, variant, rule, pretty)
        kept = self.bodies.get(plan.key(None)) or self.bodies.get(plan.key(variant))
        if kept is None:
            kept = self._make(plan)
        return (
            kept
            if isinstance(kept, Answer)
            else Answer(200, kept[0], render.CONTENT_TYPES[query.format], rows=kept[1])
        )

    def _make(self, plan):
        selection = Selection(self.shelf, plan.resource, plan.view, plan.query, plan.variant)
        total = selection.total
        if plan.query.limit == "all" and _over(total, plan.view.settings["all_max"]):
            return errors.gateway(500)
        rows = plan.rows(selection, total)
        body = plan.body(rows, max(0, total + plan.view.settings["total_offset"]))
        varies = plan.variant if selection.varies else None
        return self.bodies.put(plan.key(varies), (body, len(rows)), len(body) + 200)


def _refusal(settings, query):
    """What the portal refuses before it looks at any row."""
    if query.wrong:
        return errors.gateway(400, f"bad input parameter: {query.wrong}")
    if query.limit != "all" and _over(query.limit, settings["limit_max"]):
        return errors.gateway(500)
    if _over(query.offset, settings["deep_offset"]):
        return errors.html(504)
    return None


def _over(value, most):
    return most is not None and value > most


class _Plan:
    """A call with everything that decides which bytes it gets."""

    def __init__(self, resource, view, query, sample, variant, rule, pretty):
        self.resource, self.view, self.query = resource, view, query
        self.sample, self.variant, self.pretty = sample, variant, pretty
        self.bend = (rule.kind, rule.get("rows", 1)) if rule is not None else (None, None)

    def key(self, variant):
        query = self.query
        return (
            self.resource.alias,
            self.view.token,
            variant,
            self.sample,
            self.bend,
            self.pretty,
            query.format,
            query.limit_text,
            query.offset_text,
            tuple(query.filters.items()),
            repr(query.ranges),
            tuple(query.sort),
            tuple(query.fields or ()),
        )

    def rows(self, selection, total):
        """The records of the page."""
        if self.bend[0] == "empty":
            return []
        offset = 0 if self.bend[0] == "first_page" else self.query.offset
        return self._overlapping(selection, offset, self._limit(total))

    def _limit(self, total):
        settings, limit = self.view.settings, self.query.limit
        limit = total if limit == "all" else limit
        if settings["ignore_limit"] is not None:
            limit = settings["ignore_limit"]
        caps = [
            settings["page_cap"],
            SAMPLE_ROWS if self.sample else None,
            self.bend[1] if self.bend[0] == "short" else None,
        ]
        return min([limit] + [cap for cap in caps if cap is not None])

    def _overlapping(self, selection, offset, limit):
        """The page, perhaps begun with the last rows of the one before: in
        place of its own first rows (which are then lost) or on top."""
        wish = self.view.settings["overlap"]
        wish = wish if isinstance(wish, dict) else {"rows": wish}
        repeated = min(wish.get("rows", 0), offset, limit)
        if not repeated:
            return selection.page(offset, limit)
        before = selection.page(offset - repeated, repeated)
        own = selection.page(offset, limit)
        return before + own if wish.get("extra") else before + own[repeated:]

    def body(self, rows, total):
        """The bytes in the format asked for."""
        keys = self._projected(self.resource.keys(self.view.settings))
        if self.query.format == "csv":
            return render.csv_body(rows, self._named(keys))
        pairs = envelope.build(self.resource, self.view, total, len(rows), self.query)
        if self.query.format == "xml":
            return render.xml_body(pairs, rows, keys)
        quoted = self.view.settings["prices"] == "string"
        return envelope.json_body(pairs, render.json_records(rows, keys, quoted, self.pretty), self.pretty)

    def _projected(self, keys):
        """Only the columns of fields=; unknown names are passed over."""
        if self.query.fields is None:
            return keys
        return [(place, key) for place, key in keys if key in self.query.fields]

    def _named(self, keys):
        """(place, field name) for the CSV header."""
        settings = self.view.settings
        names = dict(
            zip(
                (place for place, _ in self.resource.keys(settings)),
                envelope.field_names(self.resource, settings),
            )
        )
        return [(place, names[place]) for place, _ in keys]
