"""What the simulator was asked and what it answered, for GET /control."""

from collections import Counter, deque

SECRET = "api-key="


class Journal:
    """Counters since the last reset, and the last calls in full."""

    def __init__(self, most):
        self.calls = deque(maxlen=most)
        self.by_path = Counter()
        self.by_status = Counter()
        self.totals = Counter()
        self.in_flight = 0
        self.in_flight_max = 0

    def begin(self, request, number, connection, at):
        """A call has arrived; returns its entry, which end() completes."""
        entry = {
            "n": number,
            "at": round(at, 6),
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "user_agent": request.headers.get("user-agent"),
            "headers": request.headers,
            "connection": connection,
            "status": None,
            "fault": None,
            "rows": 0,
            "bytes": 0,
            "done": False,
        }
        self.calls.append(entry)
        self.by_path[request.path] += 1
        self.totals["requests"] += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        return entry

    def answered(self, entry, answer, rule):
        """What is about to be sent."""
        entry["status"], entry["rows"] = answer.status, answer.rows
        entry["bytes"] = len(answer.body)
        entry["fault"] = rule.kind if rule is not None else None
        self.by_status[str(answer.status)] += 1
        self.totals["rows"] += answer.rows
        self.totals["bytes"] += len(answer.body)

    def end(self, entry, done):
        """The call is over; `done`: as planned, the client did not leave."""
        entry["done"] = done
        self.in_flight -= 1

    def document(self, last):
        """For GET /control."""
        calls = list(self.calls)
        return {
            "counters": {
                **self.totals,
                "by_path": self.by_path,
                "by_status": self.by_status,
                "in_flight": self.in_flight,
                "in_flight_max": self.in_flight_max,
            },
            "requests": calls[len(calls) - min(last, len(calls)) :],
        }


def without_key(query):
    """The query for a log: people paste logs."""
    start = query.find(SECRET)
    if start < 0:
        return query
    end = query.find("&", start)
    return query[: start + len(SECRET)] + "..." + (query[end:] if end >= 0 else "")
