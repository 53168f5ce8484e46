"""The made-up trade of a country: who sells what where, at about which price.

A World is a list of markets, each with the lines (commodity, variety, grade)
it usually reports.  A day is a choice of lines with prices.  Counts follow
PORTAL.md 2 and 6: ~1,470 markets in 27 states, 220 commodities, and 4 to 6 %
of the rows of a day share market, commodity and date with another row, so
that a client with a smaller key loses rows and a test can see it.
"""

import random
from collections import namedtuple

from . import names

Market = namedtuple("Market", "state district name lines")
Line = namedtuple("Line", "texts code price")  # texts: state .. grade
Crop = namedtuple("Crop", "name code price varieties")

N_CROPS = 220
GROUP_SIZES = [(1, 9500), (2, 400), (3, 60), (4, 18), (5, 8), (6, 3)]
MOST_ROWS_A_DAY = 2_000_000


class World:
    def __init__(self, seed):
        self.seed = seed
        rng = random.Random(f"{seed}/world")
        self.crops = _make_crops(rng)
        self._popularity = _cumulative(1 / (rank + 8) for rank in range(len(self.crops)))
        self.markets = [self._with_lines(rng, place, rows) for place, rows in _make_places(rng)]
        self.lines = [line for market in self.markets for line in market.lines]
        self._extra = []
        self._extra_rng = random.Random(f"{seed}/extra")
        self._extra_taken = None

    def _with_lines(self, rng, place, mean_rows):
        """The market with the lines it usually reports."""
        wanted = max(1, round(mean_rows * (0.3 + 1.4 * rng.random())))
        lines, seen = [], set()
        while len(lines) < wanted:
            crop = rng.choices(self.crops, cum_weights=self._popularity)[0]
            if crop.code in seen:
                continue
            seen.add(crop.code)
            size = min(names.weighted(rng, GROUP_SIZES), wanted - len(lines))
            for variety, grade in _sorts(rng, crop, size):
                price = crop.price * (0.8 + 0.4 * rng.random())
                lines.append(Line(place + (crop.name, variety, grade), crop.code, price))
        return Market(*place, lines)

    def extra_lines(self, count):
        """Lines beyond the usual ones, for days larger than any real one."""
        if self._extra_taken is None:
            self._extra_taken = {line.texts for line in self.lines}
        rng = self._extra_rng
        while len(self._extra) < count:
            market, crop = rng.choice(self.markets), rng.choice(self.crops)
            texts = (
                market.state,
                market.district,
                market.name,
                crop.name,
                rng.choice(crop.varieties),
                rng.choice(names.GRADES)[0],
            )
            if texts not in self._extra_taken:
                self._extra_taken.add(texts)
                self._extra.append(Line(texts, crop.code, crop.price * (0.8 + 0.4 * rng.random())))
        return self._extra[:count]


def _cumulative(weights):
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums


def _make_crops(rng):
    """N_CROPS commodities, the well-known ones first (they sell most)."""
    taken, crops = set(), []
    pool = iter(names.CROPS)
    while len(crops) < N_CROPS:
        listed = next(pool, None)
        if listed is None:
            name = names.fresh(lambda: _made_crop(rng), taken, names.folded)
        else:
            name = listed
            taken.add(names.folded(name))
        price = min(370_000, round(rng.lognormvariate(8.0, 0.8)) + 40)
        crops.append(Crop(name, len(crops) + 1, price, _make_varieties(rng, name)))
    return crops


def _made_crop(rng):
    name = names.word(rng)
    return f"{name} ({names.word(rng, 1)})" if rng.random() < 0.3 else name


def _make_varieties(rng, crop_name):
    """One to seven varieties, the crop's own name often among them."""
    count = min(7, 1 + int(rng.expovariate(0.55)))
    pool = [crop_name[:40]] + names.VARIETIES + [names.word(rng) for _ in range(3)]
    chosen, seen = [], set()
    for name in rng.sample(pool, len(pool)):
        if names.folded(name) not in seen:
            seen.add(names.folded(name))
            chosen.append(name)
    return chosen[:count]


def _sorts(rng, crop, size):
    """`size` different (variety, grade) pairs: of several, four in ten are
    one variety in several grades, the others varieties of one grade."""
    grades = [grade for grade, _ in names.GRADES]
    first = (rng.choice(crop.varieties), names.weighted(rng, names.GRADES))
    pairs = [first]
    if size > 1 and rng.random() < 0.6:
        pairs += [(variety, first[1]) for variety in crop.varieties if variety != first[0]]
    for grade in rng.sample(grades, len(grades)):
        if grade != first[1]:
            pairs.append((first[0], grade))
    return pairs[:size]


def _make_places(rng):
    """((state, district, market), rows on a full day) of every market."""
    places = []
    for state, n_markets, mean_rows in names.STATES:
        places += [(place, mean_rows) for place in _make_state(rng, state, n_markets)]
    return places


def _make_state(rng, state, n_markets):
    districts = list(names.DISTRICTS.get(state, []))
    taken = {names.folded(name) for name in districts}
    while len(districts) < max(1, min(60, n_markets // 4)):
        districts.append(names.fresh(lambda: names.place(rng), taken, names.folded))
    given = [name for name, states in names.SHARED_MARKETS.items() if state in states]
    given += [name for name, home in names.DAMAGED_MARKETS.items() if home == state]
    taken = {names.folded(name) for name in given}
    while len(given) < n_markets:
        given.append(names.fresh(lambda: _made_market(rng), taken, names.folded))
    return [(state, rng.choice(districts), name) for name in given[:n_markets]]


def _made_market(rng):
    return names.place(rng) + names.weighted(rng, names.MARKET_ENDS)
