"""One request to one answer: routes, gates, faults, control.

The order on a portal route: settings that come due, the fault rule, the
User-Agent, the key, the page.  A status fault answers before the key is
looked at, as a dead gateway does.
"""

import datetime
import json
import random
import time
from types import SimpleNamespace
from urllib.parse import parse_qs

from . import bend, catalogue, errors, query as queries
from .columns import DATE
from .faults import Faults, Rule
from .gate import SAMPLE, Gate
from .journal import Journal
from .mandi import parse_iso
from .pages import Pages
from .resources import Calendar
from .selection import VARIANTS, Shelf, View, iso_of
from .settings import Settings, SettingsError, alias_of, parse
from .truth import Teller
from .wire import Answer

SHOWN_CALLS = 200
ACTIONS = ("refuse", "disconnect")
LATENCY = {"base": 0.7, "per_row": 0.00135, "scale": 0}  # measured: 0.7 s and 1.35 ms a row


class Portal:
    """The simulated portal.  `start` is the settings document it resets to,
    `resources` maps alias to resource; `act` is called with an action (close
    the listener, drop connections) that only the server can do."""

    def __init__(self, resources, start, seed, cache_rows, cache_bytes, journal_length):
        self.resources = resources
        self.start = start
        self.seed = seed
        self.shelf = Shelf(seed, cache_rows)
        self.pages = Pages(self.shelf, cache_bytes)
        self.journal_length = journal_length
        self.act = lambda action, value: None
        self.by_uuid = {resource.uuid: resource for resource in resources.values()}
        self.reset()

    def reset(self):
        """Back to the first minute: settings, counters, calls."""
        self.settings = Settings()
        self.calls = 0
        self.began = time.monotonic()
        self.journal = Journal(self.journal_length)
        self.gate = Gate(self.settings)
        self.faults = Faults(self.seed)
        self.teller = Teller(self.shelf)
        self._later = []
        self._versions = {}  # alias -> (fingerprint of the settings, how often they changed)
        self._asked = {}  # alias -> calls so far
        self._fills = {}  # alias -> (fill setting, calls when it was set)
        self.shelf.served.clear()
        self.shelf.orders.clear()
        self.pages.bodies.clear()
        self.apply(self.start)

    def apply(self, document):
        """Put a checked control document in force."""
        self.settings.apply(document)
        self.faults.set(self.settings["faults"], self.settings["every"])
        for alias in self.resources:
            self._note_change(alias)
        if "later" in document:
            self._later = [(self.calls + item["after"], item["set"]) for item in self.settings["later"]]

    # portal routes

    def portal(self, request, entry, now):
        """(Answer, fault rule or None) of a call to the portal itself."""
        self.calls += 1
        self._apply_due()
        call = self._call(request)
        rule = self.faults.pick(call, now)
        agent = self.gate.user_agent(call.user_agent)
        if rule is None and agent is not None:
            rule = Rule(
                {"kind": agent}
                if agent == "502"
                else {"kind": "stall", "seconds": self.settings["user_agent_hang"]}
            )
        answer = self._due(call, rule, now) if bend.needs_page(rule) else None
        answer = bend.bent(rule, answer)
        self.journal.answered(entry, answer, rule)
        return answer, rule

    def _apply_due(self):
        """Settings promised for "after n calls"."""
        due = [item for item in self._later if self.calls > item[0]]
        self._later = [item for item in self._later if self.calls <= item[0]]
        for _, document in due:
            self.apply(document)

    def _call(self, request):
        """What rules and pages want to know about a call."""
        query = queries.parse(request.query)
        uuid = request.path.rpartition("/")[2] if request.path.startswith("/resource/") else None
        resource = self.by_uuid.get(uuid)
        return SimpleNamespace(
            path=request.path,
            uuid=uuid,
            alias=resource.alias if resource else None,
            resource=resource,
            query=query,
            offset=query.offset,
            limit=query.limit,
            filters=query.filters,
            date=self._date_asked(resource, query),
            user_agent=request.headers.get("user-agent"),
            key=query.key,
        )

    def _date_asked(self, resource, query):
        """The ISO date a call filters for, or None."""
        place = resource.place(DATE) if resource else None
        if place is None:
            return None
        key = dict(resource.keys(self.settings.of(resource.alias))).get(place)
        return iso_of(query.filters[key]) if key in query.filters else None

    def _due(self, call, rule, now):
        """The answer without transport faults."""
        if call.path == "/lists":
            return self._lists(call.query)
        if call.uuid is None:
            return errors.gateway(404)
        refusal, grade = self.gate.check(call.key, now)
        if refusal is not None:
            return refusal
        if call.resource is None:
            return self._not_found()
        alias = call.alias
        self._asked[alias] = self._asked.get(alias, 0) + 1
        view = self.view(call.resource)
        bending = rule if rule is not None and rule.kind in bend.PAGE_KINDS else None
        return self.pages.answer(
            call.resource,
            view,
            call.query,
            grade == SAMPLE,
            self._variant(),
            bending,
            self.settings["pretty"],
        )

    def _variant(self):
        """Which replica answers this call, i.e. its unsorted order."""
        return random.Random(f"{self.seed}/call/{self.calls}").randrange(VARIANTS)

    def _not_found(self):
        shape = self.settings["unknown_resource"]
        return errors.meta_not_found(shape == "records" or (shape == "alternate" and self.calls % 2 == 0))

    def _lists(self, query):
        views = {alias: self.view(resource) for alias, resource in self.resources.items()}
        return Answer(200, catalogue.body(list(self.resources.values()), views, query))

    def calendar(self):
        """The simulated time."""
        first, _, last = (self.settings["days"] or "..").partition("..")
        return Calendar(
            parse_iso(self.settings["today"]),
            parse_iso(first) if first else None,
            parse_iso(last) if last else None,
            self.settings["lag"],
        )

    def _note_change(self, alias):
        """Count a change of a resource's settings, at the moment it happens:
        what /truth is asked in between must not move anything."""
        settings = self.settings.of(alias)
        fingerprint = json.dumps(settings, sort_keys=True) + repr(self.calendar())
        held = self._versions.get(alias)
        if held is None or held[0] != fingerprint:
            self._versions[alias] = (fingerprint, held[1] + 1 if held else 0)
        if alias not in self._fills or self._fills[alias][0] != settings["fill"]:
            self._fills[alias] = (settings["fill"], self._asked.get(alias, 0))

    def view(self, resource):
        """The resource as it stands for the call that was counted last."""
        alias = resource.alias
        fill, since = self._fills[alias]
        share = _share(fill, max(0, self._asked.get(alias, 0) - since - 1))
        return View(self.settings.of(alias), self.calendar(), share, self._versions[alias][1])

    def latency(self, answer):
        """Seconds the real portal would take for such an answer."""
        model = {**LATENCY, **self.settings["latency"]}
        return model["scale"] * (model["base"] + model["per_row"] * answer.rows)

    # routes of the tests

    def control(self, request):
        """/control, /reset and /truth; never disturbed by faults."""
        route = {"/control": self._control, "/reset": self._reset, "/truth": self._truth}.get(request.path)
        if route is None:
            return errors.gateway(404)
        try:
            return route(request)
        except (SettingsError, ValueError) as error:
            return Answer(400, (json.dumps({"error": str(error)}) + "\n").encode())

    def _control(self, request):
        if request.method == "POST":
            self._take(request.body)
        elif request.method != "GET":
            return errors.gateway(405)
        last = int(_parameter(request, "requests", SHOWN_CALLS))
        return _json(
            {
                "settings": self.settings.document(),
                "faults": self.faults.document(),
                "calls": self.calls,
                "fired": self.faults.fired,
                **self.journal.document(last),
            }
        )

    def _take(self, body):
        """A control document, which may also carry actions."""
        try:
            document = json.loads(body)
        except ValueError as error:
            raise SettingsError(f"not JSON: {error}") from None
        actions = {}
        if isinstance(document, dict):
            actions = {name: document.pop(name) for name in ACTIONS if name in document}
        self.apply(parse(json.dumps(document)))
        for name, value in actions.items():
            self.act(name, value)

    def _reset(self, request):
        if request.method != "POST":
            return errors.gateway(405)
        self.reset()
        return _json({"status": "ok"})

    def _truth(self, request):
        alias = alias_of(_parameter(request, "resource", "daily"))
        if alias not in self.resources:
            raise ValueError(f"no resource {alias!r}; there are {', '.join(self.resources)}")
        resource = self.resources[alias]
        view = self.view(resource)
        dates = resource.dates(view.calendar)
        asked = _parameter(request, "date", None)
        if asked is not None:
            date = parse_iso(asked)
            dates = [date] if date in dates else []
        wanted = _parameter(request, "columns", None)
        document = self.teller.document(
            resource,
            view,
            dates,
            wanted.split(",") if wanted else None,
            _parameter(request, "rows", "0") == "1",
        )
        return _json(document)


def _share(fill, calls):
    """How much of the day has arrived after so many calls."""
    if not isinstance(fill, dict):
        return fill
    share = fill.get("start", 1.0) + fill.get("per_call", 0.0) * calls
    return min(fill.get("most", 1.0), max(fill.get("least", 0.0), share))


def _parameter(request, name, default):
    values = parse_qs(request.query).get(name)
    return values[0] if values else default


def _json(document):
    return Answer(200, (json.dumps(document, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def today_in_india():
    """The date there now, whatever the zone of this machine."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5, minutes=30)).date()
