"""The rows of one market day, from the seed and the date alone.

The daily and the historical resource serve the same days: what the first
showed yesterday the second still holds today.
"""

import datetime
import random
from functools import lru_cache

from .cells import Num
from .world import MOST_ROWS_A_DAY, World

LEAST, MOST = 2_600, 18_000  # rows of a recorded day
USUAL = 0.92  # a reporting market brings this share of its lines
RARE = 0.004  # share of rows with a price worth a test


class MandiDays:
    """Days of rows (state .. grade, date, min, max, modal, code)."""

    def __init__(self, seed, rows_per_day=None):
        self.seed = seed
        self.rows_per_day = rows_per_day
        self._world = None

    @property
    def world(self):
        """Made when first needed: a portal that only replays needs none."""
        if self._world is None:
            self._world = World(self.seed)
        return self._world

    def count(self, date, edition=0, rows=None):
        """How many rows the date holds; cheap, makes no row."""
        fixed = rows if rows is not None else self.rows_per_day
        if fixed is not None:
            return fixed
        return _usual_count(self.seed, date, edition)

    def rows(self, date, edition=0, rows=None):
        """The rows in the order in which the markets reported."""
        count = self.count(date, edition, rows)
        if count > MOST_ROWS_A_DAY:
            raise ValueError(f"{count} rows a day: at most {MOST_ROWS_A_DAY}")
        rng = random.Random(f"{self.seed}/day/{date}/{edition}")
        lines = self._reported(rng, count)
        drift = [0.9 + 0.2 * rng.random() for _ in range(len(self.world.crops) + 1)]
        day = date.strftime("%d/%m/%Y")
        uniform = rng.random
        rows = []
        for texts, code, price in lines:
            low, high, modal = _prices(price * drift[code], uniform(), uniform(), uniform(), rng)
            rows.append(texts + (day, low, high, modal, code))
        return rows

    def _reported(self, rng, count):
        """The lines of a day: market by market, most of what each sells."""
        markets = list(self.world.markets)
        rng.shuffle(markets)
        taken, left = [], []
        for market in markets:
            if len(taken) >= count:
                break
            for line in market.lines:
                (taken if rng.random() < USUAL else left).append(line)
        if len(taken) < count:
            taken += left[: count - len(taken)]
        if len(taken) < count:
            taken += self.world.extra_lines(count - len(taken))
        return taken[:count]


@lru_cache(maxsize=4096)
def _usual_count(seed, date, edition):
    """Between LEAST and MOST; few markets report on a Sunday."""
    rng = random.Random(f"{seed}/count/{date}/{edition}")
    share = rng.betavariate(3, 1.6)
    if date.weekday() == 6:
        share *= 0.4
    return LEAST + round((MOST - LEAST) * share)


def _prices(level, around, below, above, rng):
    """(min, max, modal) about level; whole rupees in round steps, with the
    rare slips of real data."""
    step = 1 if level < 100 else 5 if level < 500 else 10 if level < 2000 else 50
    modal = max(1, int(level * (0.95 + 0.1 * around) / step + 0.5)) * step
    low = modal - int(modal * 0.12 * below / step) * step
    high = modal + int(modal * 0.12 * above / step) * step
    if below < RARE:
        return _slip(low, high, modal, rng)
    return low, high, modal


def _slip(low, high, modal, rng):
    """A price as clerks type it: decimals, zeros, swapped, wrong unit."""
    kind = rng.random()
    if kind < 0.45:
        return Num(f"{low}.5"), high, Num(f"{modal}.{rng.choice(('5', '67', '25', '0'))}")
    if kind < 0.60:
        return low, high, Num(f"{modal}.{'6' * 10}7")
    if kind < 0.68:
        return low, high, Num(f"{modal}.333375")
    if kind < 0.80:
        return 0, 0, modal
    if kind < 0.88:
        return low, 0, modal
    if kind < 0.95:
        return high + 50, low, modal
    return Num("0.26"), Num("0.35"), Num("0.3")


def parse_iso(text):
    """YYYY-MM-DD to a date; ValueError otherwise."""
    if len(text) != 10:
        raise ValueError(f"{text!r} is not YYYY-MM-DD")
    return datetime.date.fromisoformat(text)


def days_between(first, last):
    """Every date of first..last, both included."""
    return [first + datetime.timedelta(days=n) for n in range((last - first).days + 1)]
