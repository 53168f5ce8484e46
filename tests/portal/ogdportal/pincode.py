"""The pincode directory (5c2f62fe): 165,627 post offices, no date.

A pincode is shared by several offices, names by several divisions; only
(pincode, officename, divisionname, district) is unique.  One office in ten
has no position and says "NA".
"""

import random

from . import names

N_OFFICES = 165_627
NO_POSITION = 0.1


class Offices:
    def __init__(self, seed):
        self.seed = seed

    def rows(self, limit=None):
        """All offices, or the first `limit`."""
        wanted = N_OFFICES if limit is None else limit
        rng = random.Random(f"{self.seed}/pincode")
        places = [names.place(rng) for _ in range(6000)]
        rows, number = [], 0
        while len(rows) < wanted:
            number += 1
            rows += _area(rng, number, places)
        return rows[:wanted]


def _area(rng, number, places):
    """The offices of one pincode: a sub office and its branches."""
    state = names.STATES[number * 7 % len(names.STATES)][0]
    division = places[number % 800]
    head = (f"{state} Circle", f"{places[number % 50]} Region", f"{division} Division")
    pincode = str(110001 + number * 37)
    tail = (places[number % 700].upper(), state.upper())
    rows = []
    for place in rng.sample(places, rng.randrange(4, 14)):
        kind = "BO" if rows else "SO"
        position = (
            ("NA", "NA")
            if rng.random() < NO_POSITION
            else (f"{8 + 25 * rng.random():.6f}", f"{69 + 25 * rng.random():.5f}")
        )
        rows.append(
            head
            + (f"{place} {kind}", pincode, kind, "Delivery" if rng.random() < 0.93 else "Non Delivery")
            + tail
            + position
        )
    return rows
