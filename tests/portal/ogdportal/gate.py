"""The gateway in front of the resources: keys, rate limit, User-Agent."""

from collections import deque

from . import errors

VALID, SAMPLE = "valid", "sample"


class Gate:
    """Refuses calls before they reach a resource, as Tyk does."""

    def __init__(self, settings):
        self.settings = settings
        self._calls = {}  # key -> times of its calls in the window

    def check(self, key, now):
        """(refusal or None, grade of the key)."""
        if not key:
            return errors.gateway(400), None
        grade = self._grade(key)
        if grade is None:
            return errors.gateway(403), None
        return self._limited(key, grade, now), grade

    def _grade(self, key):
        """Without any key configured every key is valid."""
        if key in self.settings["sample_keys"]:
            return SAMPLE
        keys = self.settings["keys"]
        return VALID if not keys or key in keys else None

    def _limited(self, key, grade, now):
        rate = self.settings["rate"]
        if not rate or (rate.get("only", "all") == "sample" and grade != SAMPLE):
            return None
        calls = self._calls.setdefault(key, deque())
        while calls and now - calls[0] >= rate.get("window", 60):
            calls.popleft()
        if len(calls) >= rate.get("calls", 5):
            return errors.of_status(429, retry_after=rate.get("retry_after"))
        calls.append(now)
        return None

    def user_agent(self, name):
        """What a client of that name gets: None, "hang" or "502"."""
        if self.settings["user_agent"] == "any":
            return None
        if not name or name.startswith("Python-urllib"):
            return "hang"
        return "502" if name.startswith("python-requests") else None
