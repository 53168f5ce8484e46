"""What is known of each day, why, and what comes next: the routes, and the commands that show them."""

import json
import re

from harness import USAGE, days_back, is_over, today, wait_until


def heal(site, back=10, budget=40, **changes):
    site.only_history(schedule=None, heal={"from": days_back(back)[0], "max_slices_per_day": budget}, **changes)


def rest(daemon):
    wait_until(lambda: " heal.rest" in daemon.log(), 30, "healing to rest")


def by_date(document):
    return {day["date"]: day for day in document["days"]}


def post(daemon, path, body):
    return daemon.get(path, method="POST", headers={"Content-Type": "application/json"}, body=json.dumps(body))


def test_coverage_and_why(site, portal):
    empty, broken = days_back(4, 6)
    heal(site, page_size=100)
    portal.control(resources={"history": {"missing_dates": [str(empty)], "bad": {"bad_date": 1}}},
                   faults=[{"kind": "504", "when": {"date": str(broken), "offset": [200, 9999]}}])
    with site.start() as daemon:
        rest(daemon)
        document = daemon.get("/sync/coverage").json
        days = by_date(document)
        whole = str(days_back(3)[0])
        assert document["dataset"] == "mandi_prices" and document["to"] == str(today())
        assert document["from"] == str(days_back(10)[0]) == min(days)
        assert list(days[whole]) == ["date", "state", "source", "expected", "received", "distinct", "quarantined",
                                     "attempts", "next_try", "code", "run", "checked_at"]
        assert days[whole]["state"] == "complete" and days[whole]["source"] == "history"
        assert (days[whole]["expected"], days[whole]["received"], days[whole]["quarantined"]) == (400, 400, 1)
        assert days[str(empty)]["state"] == "suspect" and days[str(empty)]["next_try"]
        assert days[str(broken)]["state"] == "partial" and days[str(broken)]["code"] == "http_504"
        assert document["summary"] == {
            "complete": len(days) - 2, "open": 0, "partial": 1, "suspect": 1, "empty": 0, "missing": 0}
        status = daemon.status()
        assert status["coverage"] == {"missing_days": 1, "partial_days": 1}
        some = daemon.get(f"/sync/coverage?dataset=mandi_prices&from={empty}&to={whole}").json
        assert list(by_date(some)) == [str(empty), whole]

        why = daemon.get(f"/sync/why?date={whole}").json
        assert why["state"] == "complete" and why["due"] and why["stored"] == 399 and not why["weak"]
        assert "400 of 400 rows, 1 of them in quarantine" in why["text"] and "(heal)" in why["text"]
        assert "mandi.price holds 399 rows of it. Nothing is to be done." in why["text"]
        assert why["looks"][0]["run"] == days[whole]["run"] and why["looks"][0]["received"] == 400
        why = daemon.get(f"/sync/why?date={empty}").json
        assert "suspect" in why["text"] and why["next_try"] and "not before" in why["text"]
        why = daemon.get(f"/sync/why?date={broken}").json
        assert "504" in why["text"] and "partial" in why["text"] and why["stored"] in (199, 200)
        state = site.value("SELECT state FROM mandi.market JOIN mandi.price ON market_id = market.id"
                           " WHERE arrival_date = %s LIMIT 1", whole)
        why = daemon.get(f"/sync/why?date={whole}&state={state.replace(' ', '%20')}").json
        assert f"with {state}" in why["text"] and why["part"] == state and 0 < why["stored"] < 399

        for path, status in (("/sync/coverage?from=yesterday", 400), ("/sync/coverage?dataset=none", 404),
                             ("/sync/coverage?from=2026-01-02&to=2026-01-01", 400), ("/sync/why", 400),
                             ("/sync/why?date=2026-02-30", 400), ("/sync/schedule?n=0", 400),
                             ("/sync/schedule?n=x", 400)):
            assert daemon.get(path).status == status, path

        done = site.cli("coverage")
        assert done.code == 0 and "partial        1" in done.out and "suspect        1" in done.out
        letters = "".join(re.findall(r"^\d{4}-\d\d  (.*)$", done.out, re.MULTILINE)).replace(" ", "")
        assert len(letters) == len(days) and letters.count("p") == 1 and letters.count("s") == 1
        assert json.loads(site.cli("coverage", "--json", f"--from={empty}", f"--to={whole}").out) == some
        done = site.cli("why", f"--date={whole}")
        assert done.code == 0 and max(map(len, done.out.splitlines())) <= 78
        assert " ".join(done.out.split()).endswith("Nothing is to be done.")
        assert json.loads(site.cli("why", f"--date={empty}", "--json").out)["state"] == "suspect"
        assert site.cli("why").code == USAGE and site.cli("why", "--date=today").code == USAGE


def test_schedule(site, portal):
    site.live(schedule=["0 12 * * *", "0 17 * * *"], on_start=False)
    site.history()
    with site.start() as daemon:
        ticks = daemon.get("/sync/schedule?n=7").json["schedule"]
        assert [tick["at"] for tick in ticks] == sorted(tick["at"] for tick in ticks) and len(ticks) == 7
        assert {(tick["source"], tick["at"][11:19]) for tick in ticks} == {
            ("live", "12:00:00"), ("live", "17:00:00"), ("history", "03:30:00")}
        assert daemon.status()["next_run_at"][:19] == ticks[0]["at"][:19]
        done = site.cli("schedule", "next", "3")
        assert done.code == 0 and len(done.out.splitlines()) == 4
        assert site.cli("schedule", "next", "soon").code == USAGE


def test_backfill(site, portal):
    heal(site, back=3, budget=4)
    first, last = days_back(12, 3)
    with site.start() as daemon:
        rest(daemon)
        before = site.value("SELECT count(*) FROM ogdsync.coverage")
        done = site.cli("backfill", f"--from={first}", f"--to={last}")
        assert done.code == 0 and re.search(r"^9 days are marked as missing; 9 days of the range are holes", done.out)
        assert "Healing fetches 4 on each day" in done.out and "about 3 days" in done.out
        daemon.wait_status(lambda status: status["coverage"]["missing_days"] == 9 - (4 - before), what="the budget")
        answer = post(daemon, "/sync/backfill", {"from": str(first), "to": str(last)})
        assert answer.json["marked"] == 0 and answer.json["holes"] == 9 - (4 - before)
        why = daemon.get(f"/sync/why?date={first}").json["text"]
        assert "4 of 4 for today are spent" in why
        for body in ({}, {"from": "2026-01-01"}, {"from": "x", "to": "y"}, {"from": str(last), "to": str(first)},
                     {"from": str(first), "to": str(last), "more": 1}):
            assert post(daemon, "/sync/backfill", body).status == 400, body
        assert post(daemon, "/sync/backfill", {"dataset": "x", "from": str(first), "to": str(last)}).status == 404
    healed = [row[0] for row in site.query("SELECT data_date FROM ogdsync.run_slice ORDER BY fetched_at")]
    assert healed == sorted(healed, reverse=True) and len(healed) == 4
    assert is_over(healed[0])


def test_without_healing_or_a_date(site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        answer = post(daemon, "/sync/backfill", {"from": "2026-01-01", "to": "2026-01-05"})
        assert answer.status == 409 and "heal" in answer.json["detail"]
        days = by_date(daemon.get("/sync/coverage").json)
        assert days[str(today())]["state"] == "open"
        assert "no source of the dataset has 'heal'" in daemon.get("/sync/why?date=2026-01-01").json["text"]
