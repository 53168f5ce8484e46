"""Readers never see half a slice: one slice is one transaction, with its entry in the ledger."""

import threading

from harness import days_back

SQL = """
    SELECT d::date::text,
           (SELECT count(*) FROM mandi.price p WHERE p.arrival_date = d),
           (SELECT coalesce(sum(s.inserted), 0) FROM ogdsync.run_slice s WHERE s.data_date = d),
           (SELECT coalesce(sum(s.inserted + s.updated), 0) FROM ogdsync.run_slice s WHERE s.data_date = d),
           (SELECT count(DISTINCT p.run_id) FROM mandi.price p WHERE p.arrival_date = d),
           (SELECT count(*) FROM mandi.price_named n WHERE n.arrival_date = d AND n.market IS NOT NULL
               AND n.commodity IS NOT NULL),
           (SELECT c.state FROM ogdsync.coverage c WHERE c.slice = d::date::text),
           (SELECT coalesce(sum(r.inserted), 0) FROM ogdsync.run r)
               = (SELECT coalesce(sum(s.inserted), 0) FROM ogdsync.run_slice s)
      FROM generate_series(%s::date, %s::date, '1 day') d"""


class Reader(threading.Thread):
    """Asks in a loop; each question is one snapshot."""

    def __init__(self, site, first, last):
        super().__init__(daemon=True)
        self._site, self._range = site, (first, last)
        self._over = threading.Event()
        self.seen = set()

    def run(self):
        with self._site.connect() as db:
            while not self._over.is_set():
                self.seen |= set(db.execute(SQL, self._range).fetchall())

    def end(self):
        self._over.set()
        self.join(20)


def test_promise_05_a_slice_is_seen_whole_or_not_at_all(site, portal):
    """Three pages and many statements a day; then half of its rows change."""
    days = days_back(1, 2, 3, 4)
    site.only_history(on_start=True, page_size=5000, slice={"lookback": "4d"})
    portal.control(resources={"history": {"rows": 6000}})
    readers = [Reader(site, days[-1], days[0]) for _ in range(2)]
    for reader in readers:
        reader.start()
    site.sync()
    portal.control(resources={"history": {"rows": 6000, "corrected": {str(day): 3000 for day in days}}})
    site.sync()
    for reader in readers:
        reader.end()
    seen = set().union(*(reader.seen for reader in readers))
    assert {rows for _, rows, *_ in seen} == {0, 6000}, "all of a day or nothing"
    for day, rows, inserted, written, runs, named, state, sums in seen:
        assert inserted == rows == named, "the ledger and the names come with the rows"
        assert written in (0, 6000, 9000) and runs == (0 if rows == 0 else 1 if written == 6000 else 2)
        assert (state is None) == (rows == 0) and sums
    assert len({each[:4] for each in seen}) > len(days), "the readers saw days come"
    assert site.rows() == site.truth(live=False, days=days)
