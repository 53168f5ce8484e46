"""Which call goes wrong, and how.

A rule is a kind, its parameters and the conditions under which it fires.
Rules are tried in order and the first that fires wins; each counts the calls
that match its conditions from the moment it was set, so that "every third
page of this resource" stays the third whatever else happens.
"""

import random
import re

from . import deliver, huge

STATUS = re.compile(r"[1-5]\d\d")

# kind -> parameters it takes (deliver.py says what each does)
ANSWER_KINDS = {
    "status": {"status", "body", "retry_after", "headers"},
    "empty": set(),
    "short": {"rows"},
    "first_page": set(),
    "error": {"message"},
    "empty_body": {"content_type"},
    "not_json": {"body"},
    "html": {"body"},
    "array": set(),
    "bom": set(),
    "trailing": {"body"},
    "wrong_type": {"content_type"},
    "redirect": {"location", "status"},
    "huge": {"bytes", "shape", "gzip", "declared"},
}
DELIVERY_KINDS = {
    "truncate": {"at", "framing"},
    "cut": {"at", "reset"},
    "chunk_cut": {"at"},
    "stall": {"seconds", "then"},
    "stall_body": {"at", "seconds", "then"},
    "drip": {"bytes", "pause"},
    "slow": {"seconds"},
    "gzip": set(),
    "bad_gzip": {"at"},
    "chunked": {"bytes"},
    "malformed": {"shape"},
    "close": set(),
    "reset": set(),
    "close_after": set(),
}
CONNECTION_KINDS = {"tls_drop": set(), "tls_hang": {"seconds"}, "accept_close": set(), "accept_reset": set()}
KINDS = {**ANSWER_KINDS, **DELIVERY_KINDS, **CONNECTION_KINDS}

NUMBER = (int, float)
TYPES = {
    "status": int,
    "bytes": int,
    "rows": int,
    "at": NUMBER,
    "seconds": NUMBER,
    "pause": NUMBER,
    "reset": bool,
    "gzip": bool,
    "declared": bool,
    "headers": dict,
    "body": str,
    "content_type": str,
    "location": str,
    "message": str,
}
WORDS = {"framing": ("close", "chunked", "length"), "then": ("close", "answer")}
SHAPES = {"huge": huge.SHAPES, "malformed": tuple(deliver.MALFORMED)}

# condition -> what it is given; the first seven count matching calls
CONDITIONS = {
    "every": int,
    "first": int,
    "after": int,
    "calls": list,
    "times": int,
    "probability": NUMBER,
    "seconds_long": NUMBER,
    "path": str,
    "resource": str,
    "offset": (int, list),
    "limit_over": int,
    "date": str,
    "filter": dict,
    "user_agent": str,
    "key": str,
}


class Rule:
    """One fault rule; ValueError if its text is wrong."""

    def __init__(self, document):
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise ValueError('a fault is {"kind": "...", "when": {...}, ...}')
        self.document = document
        self.kind, implied = _kind_of(document["kind"])
        if self.kind not in KINDS:
            raise ValueError(
                f"no fault kind {document['kind']!r}; there are a status such as 502, " + ", ".join(KINDS)
            )
        self.given = {
            **implied,
            **{key: value for key, value in document.items() if key not in ("kind", "when")},
        }
        unknown = self.given.keys() - KINDS[self.kind]
        if unknown:
            raise ValueError(f"fault {self.kind!r} does not take {', '.join(sorted(unknown))}")
        _check_parameters(self.kind, self.given)
        self.when = document.get("when", {})
        _check_when(self.when)
        if self.for_connections and self.when.keys() & _CHECKS.keys():
            raise ValueError(f"when: {self.kind} happens before there is a call to look at")
        self.matched = 0
        self.fired = 0
        self.since = None

    @property
    def for_connections(self):
        return self.kind in CONNECTION_KINDS

    def get(self, name, default=None):
        return self.given.get(name, default)

    def fires(self, call, seed, now):
        """Count the call if it matches, and say whether it goes wrong."""
        if self.since is None:
            self.since = now
        if not _matches(self.when, call):
            return False
        self.matched += 1
        if not self._due(seed, now):
            return False
        self.fired += 1
        return True

    def _due(self, seed, now):
        when, n = self.when, self.matched
        if "times" in when and self.fired >= when["times"]:
            return False
        if "seconds_long" in when and now - self.since > when["seconds_long"]:
            return False
        if "every" in when and n % when["every"]:
            return False
        if "first" in when and n > when["first"]:
            return False
        if "after" in when and n <= when["after"]:
            return False
        if "calls" in when and n not in when["calls"]:
            return False
        if "probability" in when:
            return random.Random(f"{seed}/fault/{self.kind}/{n}").random() < when["probability"]
        return True


def _kind_of(text):
    """ "502" is the kind "status" with status 502."""
    if STATUS.fullmatch(text):
        return "status", {"status": int(text)}
    return text, {}


def _check_parameters(kind, given):
    """A parameter of the wrong sort must not wait for the call to be found."""
    for name, value in given.items():
        if name == "shape":
            _one_of(name, value, SHAPES[kind])
        elif name in WORDS:
            _one_of(name, value, WORDS[name])
        elif name in TYPES and (not isinstance(value, TYPES[name]) or _is_odd_flag(value, TYPES[name])):
            raise ValueError(f"{name}: {value!r} will not do for fault {kind!r}")


def _is_odd_flag(value, wanted):
    """True is an int to Python, and no number to us."""
    return isinstance(value, bool) and wanted is not bool


def _one_of(name, value, words):
    if value not in words:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(words)}")


def _check_when(when):
    if not isinstance(when, dict):
        raise ValueError("when: expected an object")
    for name, value in when.items():
        if name not in CONDITIONS:
            raise ValueError(f"when: no condition {name}; there are {', '.join(CONDITIONS)}")
        wanted = CONDITIONS[name]
        if not isinstance(value, wanted) or _is_odd_flag(value, wanted):
            raise ValueError(f"when.{name}: {value!r} will not do")
    if when.get("every", 1) < 1:
        raise ValueError("when.every: at least 1")


def _matches(when, call):
    """Whether the call is one that the conditions speak of."""
    return all(_CHECKS[name](expected, call) for name, expected in when.items() if name in _CHECKS)


def _offset_matches(expected, call):
    if isinstance(expected, list):
        return expected[0] <= call.offset <= expected[1]
    return call.offset == expected


def _filter_matches(expected, call):
    return all(call.filters.get(name) == value for name, value in expected.items())


_CHECKS = {
    "path": lambda expected, call: call.path.startswith(expected),
    "resource": lambda expected, call: expected in (call.alias, call.uuid),
    "offset": _offset_matches,
    "limit_over": lambda expected, call: call.limit == "all" or call.limit > expected,
    "date": lambda expected, call: call.date == expected,
    "filter": _filter_matches,
    "user_agent": lambda expected, call: expected in (call.user_agent or ""),
    "key": lambda expected, call: call.key == expected,
}


def rules_of_every(document):
    """{"3": "502", "5": {...}}: every n-th call; of several the rarest wins,
    so the larger numbers are tried first."""
    rules = []
    for text, fault in sorted(document.items(), key=lambda item: -_ordinal(item[0])):
        fault = {"kind": fault} if isinstance(fault, str) else dict(fault)
        fault["when"] = {"path": "/resource", **fault.get("when", {}), "every": _ordinal(text)}
        rules.append(Rule(fault))
    return rules


def _ordinal(text):
    if not text.isdigit() or int(text) == 0:
        raise ValueError(f"every: {text!r} is not a number of calls")
    return int(text)


class Faults:
    """The rules in force."""

    def __init__(self, seed):
        self.seed = seed
        self._rules = []
        self.fired = {}

    def set(self, faults, every):
        """Take new rules.  A rule that stays word for word keeps its count."""
        fresh = [Rule(document) for document in faults] + rules_of_every(every)
        old = {repr(rule.document): rule for rule in self._rules}
        self._rules = [old.pop(repr(rule.document), rule) for rule in fresh]

    def pick(self, call, now):
        """The rule that this call falls to, or None; a call of None is a new
        connection.

        Every rule sees the call, also behind one that fired: counts must not
        depend on other rules.
        """
        chosen = None
        for rule in self._rules:
            if rule.for_connections == (call is None) and rule.fires(call, self.seed, now) and chosen is None:
                chosen = rule
        if chosen is not None:
            self.fired[chosen.kind] = self.fired.get(chosen.kind, 0) + 1
        return chosen

    def document(self):
        """Rules with their counts, for GET /control."""
        return [{**rule.document, "matched": rule.matched, "fired": rule.fired} for rule in self._rules]
