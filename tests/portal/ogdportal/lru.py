"""A bounded cache: least recently used goes first, size counted by weight."""

from collections import OrderedDict


class Lru:
    def __init__(self, limit):
        self.limit = limit
        self.weight = 0
        self._items = OrderedDict()

    def get(self, key):
        """The value, or None; being asked for keeps it."""
        item = self._items.get(key)
        if item is None:
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key, value, weight):
        """Keep value; one heavier than the whole limit is kept alone, because
        it is in use right now anyway."""
        old = self._items.pop(key, None)
        if old is not None:
            self.weight -= old[1]
        self._items[key] = (value, weight)
        self.weight += weight
        while self.weight > self.limit and len(self._items) > 1:
            _, (_, dropped) = self._items.popitem(last=False)
            self.weight -= dropped
        return value

    def clear(self):
        self._items.clear()
        self.weight = 0

    def __len__(self):
        return len(self._items)
