"""Names that change: facts keep what was served, people say what is the same, the view follows them."""

import json

import pytest

from harness import days_back

NEW = {"vocabulary": "new"}
DATA, NO_INPUT, USAGE = 65, 66, 64


def names(site, lookup="market"):
    """id -> name"""
    return dict(site.query(f"SELECT id, {lookup} FROM mandi.{lookup} ORDER BY id"))


def proposals(site, *args):
    done = site.cli("lookup", "similar", "--json", *args)
    assert done.code == 0, done
    return json.loads(done.out)["pairs"]


def join(site, *args, code=0):
    done = site.cli("lookup", "join", *args)
    assert done.code == code, done
    return done


@pytest.fixture
def renamed(site, portal):
    """Three days of the history, the last one in the new spelling."""
    site.only_history(slice={"lookback": "3d"})
    portal.control(resources={"history": {"vocabulary": "new", "vocabulary_from": str(days_back(1)[0])}})
    site.sync()
    return site


def test_the_renames_of_2025_are_proposed(renamed):
    pairs = proposals(renamed)
    assert {pair["lookup"] for pair in pairs} >= {"market", "commodity"}
    whys = {}
    for pair in pairs:
        whys.setdefault(pair["why"], []).append(pair)
        assert pair["old"]["id"].split(":")[0] == pair["current"]["id"].split(":")[0] == pair["lookup"]
        assert pair["old"]["names"] != pair["current"]["names"]
        assert pair["old"]["last_seen"] <= pair["current"]["last_seen"] == str(days_back(1)[0])
    assert all(pair["current"]["names"]["market"].endswith(" APMC") for pair in whys["apmc"])
    assert all(" (" in pair["old"]["names"]["commodity"] for pair in whys["space"] if pair["lookup"] == "commodity")
    states = {(pair["old"]["names"]["state"], pair["current"]["names"]["state"])
              for pair in whys["known"] if pair["lookup"] == "market"}
    assert states & {("Kerala", "Keralam"), ("Uttrakhand", "Uttarakhand")}
    seen = [pair["why"] for pair in pairs if pair["lookup"] == "market"]
    assert seen == sorted(seen, key=["case", "space", "punctuation", "apmc", "known", "spelling"].index)


def test_one_market_through_its_renames(renamed):
    pair = next(pair for pair in proposals(renamed, "market") if pair["why"] in ("apmc", "known"))
    old, current = pair["old"], pair["current"]
    sql = ("SELECT market, market_current, count(*) FROM mandi.price_named WHERE district = %s AND market IN (%s, %s)"
           " GROUP BY 1, 2 ORDER BY 1")
    where = (current["names"]["district"], old["names"]["market"], current["names"]["market"])
    before, facts = renamed.query(sql, *where), renamed.rows()
    versions = renamed.versions()
    assert len({row[1] for row in before}) == len({row[0] for row in before})
    done = join(renamed, old["id"], current["id"])
    assert "is now called" in done.out
    after = renamed.query(sql, *where)
    assert {row[1] for row in after} == {current["names"]["market"]}
    assert [row[0] for row in after] == [row[0] for row in before], "facts keep what was served"
    assert renamed.rows() == facts and renamed.versions() == versions
    assert pair not in proposals(renamed, "mandi_prices/market"), "it is no question any more"
    assert renamed.sync().code == 0, "the next load is not disturbed"
    assert renamed.query(sql, *where)[0][1] == current["names"]["market"]
    join(renamed, "--undo", old["id"])
    assert renamed.query(sql, *where) == before
    assert pair in proposals(renamed, "market")


def test_a_run_says_once_which_new_names_look_like_known_ones(site, portal):
    portal.control(resources={"history": {"vocabulary": "old"}})
    site.only_history(slice={"lookback": "1d"})
    done = site.sync()
    assert "lookup.similar" not in done.err, "when everything is new, nothing is"
    portal.control(resources={"history": {"vocabulary": "new"}})
    done = site.sync()
    lines = [line for line in done.err.splitlines() if "lookup.similar" in line]
    assert 1 < len(lines) <= 4 * 8 + 4
    assert all(" NOTICE " in line for line in lines)
    market = next(line for line in lines if "lookup=market" in line)
    ids = {int(part.split("=")[1]) for part in market.split() if part.startswith(("id=", "known_id="))}
    for name, number in site.query("SELECT market, id FROM mandi.market WHERE id = ANY(%s)", list(ids)):
        assert name in market and str(number) in market
    assert "similar_names=" in next(line for line in done.err.splitlines() if " run.done " in line)
    done = site.sync()
    assert "lookup.similar" not in done.err and "similar_names" not in done.err, "it is said once"


def test_names_that_are_not_seen_for_long_are_inactive(site, portal):
    """Counted by data dates. Seen again they are active again, and nothing is written twice."""
    def inactive():
        return {number for number, in site.query("SELECT id FROM mandi.market WHERE NOT is_active")}

    def versions():
        return site.query("SELECT id, xmin::text FROM mandi.market ORDER BY id")

    site.configure(dataset={"lookups": {"market": {"inactive_after": "3d"}}})
    portal.control(resources={"history": {"vocabulary": "new", "vocabulary_from": str(days_back(5)[0])}})
    site.only_history(slice={"lookback": "8d"})
    site.sync()
    assert site.value("SELECT count(*) FROM mandi.market WHERE is_active <> (last_seen >= %s)", days_back(4)[0]) == 0
    faded = inactive()
    assert 0 < len(faded) < len(names(site))
    assert site.value("SELECT count(*) FROM mandi.commodity WHERE NOT is_active") == 0, "only where it is asked for"
    before = versions()
    site.sync()
    assert versions() == before
    portal.control(resources={"history": {"vocabulary": "old", "vocabulary_from": None}})
    site.sync()
    assert site.value("SELECT count(*) FROM mandi.market WHERE is_active <> (last_seen >= %s)", days_back(4)[0]) == 0
    assert faded - inactive(), "what was seen again is active again"


def test_what_cannot_be_joined(renamed):
    a, b, c, d = (f"market:{n}" for n in list(names(renamed))[:4])
    commodity = f"commodity:{next(iter(names(renamed, 'commodity')))}"
    join(renamed, a, b)
    for code, args in (
            (DATA, (a, c)),  # it is joined already
            (DATA, (c, a)),  # a chain: to one that is joined
            (DATA, (b, a)),  # a circle
            (DATA, (b, c)),  # a chain: others are joined to it
            (DATA, (c, c)),
            (DATA, ("--undo", c)),
            (NO_INPUT, (c, "market:2000000000")),
            (NO_INPUT, ("market:2000000000", c)),
            (USAGE, (c, commodity)),
            (USAGE, (c, "nothing:1")),
            (USAGE, (c, "market:0")),
            (USAGE, (c, "market:1x")),
            (USAGE, (c, "1")),
            (USAGE, (c,)),
            (USAGE, ("--undo", a, b)),
            (USAGE, ())):
        join(renamed, *args, code=code)
    join(renamed, c, b)
    document = json.loads(join(renamed, "--json", d, b).out)
    assert document["current"]["id"] == b and document["old"]["id"] == d
    assert renamed.value("SELECT count(*) FROM mandi.market WHERE same_as IS NOT NULL") == 3
    assert renamed.value("SELECT count(*) FROM mandi.market m JOIN mandi.market x ON x.id = m.same_as"
                         " WHERE x.same_as IS NOT NULL OR m.id = x.id") == 0


def test_nothing_alike(site):
    done = site.cli("lookup", "similar")
    assert done.code == 0 and done.out == "" and "no two names" in done.err
    assert proposals(site) == []
    assert site.cli("lookup", "similar", "nothing").code == USAGE


def test_for_people(renamed):
    done = renamed.cli("lookup", "similar", "market")
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["WHY", "OLD", "NAME", "SEEN", "CURRENT", "NAME", "SEEN"]
    assert any(" / " in row and " APMC" in row for row in rows)
