"""Air quality (3b01bcb8): one bulletin of every station, hour by hour.

All values are strings, as recorded; a pollutant without a reading says "NA"
in all three.  States are spelt with underscores or run together.
"""

import random

from . import names

STATES = [
    "Andhra_Pradesh",
    "Assam",
    "Bihar",
    "Chandigarh",
    "Chhattisgarh",
    "Delhi",
    "Gujarat",
    "Haryana",
    "Himachal Pradesh",
    "Jharkhand",
    "Karnataka",
    "Kerala",
    "Madhya Pradesh",
    "Maharashtra",
    "Odisha",
    "Punjab",
    "Rajasthan",
    "TamilNadu",
    "Telangana",
    "Uttar_Pradesh",
    "West_Bengal",
]
BOARDS = ["CPCB", "DPCC", "APPCB", "HSPCB", "UPPCB", "MPCB", "KSPCB"]
POLLUTANTS = ["PM2.5", "PM10", "NO2", "NH3", "SO2", "CO", "OZONE"]
N_STATIONS = 470
NO_READING = 0.07


class AirBulletins:
    def __init__(self, seed):
        self.seed = seed
        self._stations = None

    def rows(self, date, hour, limit=None):
        """The bulletin of that hour, or its first `limit` rows."""
        rng = random.Random(f"{self.seed}/air/{date}/{hour}")
        stamp = f"{date:%d-%m-%Y} {hour:02d}:00:00"
        rows = []
        for station in self._placed():
            for pollutant in POLLUTANTS:
                rows.append(_reading(rng, station, stamp, pollutant))
        return rows if limit is None else rows[:limit]

    def _placed(self):
        if self._stations is None:
            rng = random.Random(f"{self.seed}/stations")
            taken = set()
            self._stations = [_station(rng, taken) for _ in range(N_STATIONS)]
        return self._stations


def _station(rng, taken):
    """(country, state, city, station, latitude, longitude)."""
    city = names.word(rng, 2) + rng.choice(names.PLACE_ENDS)
    board = rng.choice(BOARDS)
    name = names.fresh(lambda: f"{names.place(rng)}, {city} - {board}", taken, names.folded)
    return (
        "India",
        rng.choice(STATES),
        city,
        name,
        f"{8 + 25 * rng.random():.7f}",
        f"{69 + 25 * rng.random():.6f}",
    )


def _reading(rng, station, stamp, pollutant):
    country, state, city, name, latitude, longitude = station
    if rng.random() < NO_READING:
        values = ("NA", "NA", "NA")
    else:
        average = int(rng.lognormvariate(3.6, 0.7)) + 1
        low, high = max(1, int(average * 0.6)), int(average * 1.5) + 1
        values = (str(low), str(high), str(average))
    return (country, state, city, name, stamp, latitude, longitude, pollutant) + values
