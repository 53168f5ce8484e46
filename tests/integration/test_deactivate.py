"""missing_rows: deactivate: rows that are served no longer become inactive, and come back."""

import pytest
import yaml

from harness import ROOT, TRY_AGAIN

ROWS = 1200


@pytest.fixture
def post(bare, portal):
    """The directory of post offices alone."""
    dataset = yaml.safe_load((ROOT / "conf/datasets.d/pincode_directory.yaml").read_text(encoding="utf-8"))
    dataset["sources"]["all"].update(jitter="0s", page_size=1000)
    bare.post = dataset
    bare.live(schedule=None, on_start=False)
    write(bare)
    bare.apply()
    serve(portal, ROWS)
    bare.sync()
    assert active(bare) == (ROWS, 0)
    return bare


def write(site, **changes):
    site.post.update(changes)
    (site.dataset_file.parent / "pincode_directory.yaml").write_text(
        yaml.safe_dump(site.post, sort_keys=False), encoding="utf-8")


def serve(portal, rows):
    portal.control(resources={"pincode": {"rows": rows}})


def active(site):
    """(active, inactive) rows."""
    return site.query("SELECT count(*) FILTER (WHERE is_active), count(*) FILTER (WHERE NOT is_active)"
                      " FROM post.office")[0]


def keys(site, is_active=True):
    return set(site.query("SELECT pincode, officename, divisionname, district FROM post.office WHERE is_active = %s",
                          is_active))


def truth(portal):
    columns = ["pincode", "officename", "divisionname", "district"]
    return {tuple(row) for day in portal.truth("pincode", rows=True, columns=columns)["dates"].values()
            for row in day["data"]}


def versions(site):
    return dict(site.query("SELECT (pincode, officename, divisionname, district)::text, xmin::text FROM post.office"))


def last_run(site):
    return site.query("SELECT state, code FROM ogdsync.run ORDER BY id DESC LIMIT 1")[0]


def test_rows_that_vanish_and_come_back(post, portal):
    everything, before = keys(post), versions(post)
    serve(portal, ROWS - 30)
    post.sync()
    assert active(post) == (ROWS - 30, 30)
    assert keys(post) == truth(portal) and keys(post) | keys(post, False) == everything
    after = versions(post)
    assert sum(before[key] != after[key] for key in before) == 30, "no other row was written"
    assert last_run(post) == ("success", None)
    post.sync()
    assert versions(post) == after, "nothing new, nothing written"
    serve(portal, ROWS - 10)
    post.sync()
    assert active(post) == (ROWS - 10, 10) and keys(post) == truth(portal)
    serve(portal, ROWS + 50)
    post.sync()
    assert active(post) == (ROWS + 50, 0) and keys(post) == truth(portal)


def test_more_than_the_limit_is_suspect_until_it_is_accepted(post, portal):
    serve(portal, ROWS - 100)
    done = post.once()
    assert done.code == TRY_AGAIN
    assert active(post) == (ROWS, 0)
    assert last_run(post) == ("suspect", "too_many_missing")
    code, error, received, unchanged = post.query(
        "SELECT code, error, received, unchanged FROM ogdsync.run_slice WHERE state = 'suspect'")[0]
    assert code == "too_many_missing" and received == unchanged == ROWS - 100
    assert "100 of 1200 rows are served no longer, more than deactivate_limit (5 %)" in error
    with post.start() as daemon:
        done = post.cli("run", "pincode_directory", "--accept")
        assert done.code == 0, done
        daemon.wait_status(lambda status: status["last_sync"] and status["last_sync"]["status"] == "success")
    assert active(post) == (ROWS - 100, 100) and keys(post) == truth(portal)
    assert last_run(post) == ("success", None)


def test_what_is_new_is_loaded_although_too_many_vanished(post, portal):
    serve(portal, 10)
    assert post.once().code == TRY_AGAIN
    assert active(post) == (ROWS, 0)
    write(post, deactivate_limit="100%")
    post.sync()
    assert active(post) == (10, ROWS - 10) and keys(post) == truth(portal)


def test_only_after_a_proven_slice(post, portal):
    """The second page does not come: its rows have not vanished."""
    serve(portal, ROWS - 20)
    portal.control(faults=[{"kind": "502", "when": {"after": 1}}])
    post.configure(portal={"attempts": 2, "retry_budget": "1s"})
    assert post.once().code == TRY_AGAIN
    assert last_run(post)[0] == "partial"
    assert active(post) == (ROWS, 0)
    portal.control(faults=[])
    post.sync()
    assert active(post) == (ROWS - 20, 20)


def test_an_older_run_takes_nothing_away(post, portal):
    """Loaded late: it says nothing about today."""
    serve(portal, ROWS + 40)
    post.sync()
    assert active(post) == (ROWS + 40, 0)
    first = post.value("SELECT min(run) FROM ogdsync.run_slice")
    with post.connect() as db:
        db.execute("DELETE FROM ogdsync.run_slice WHERE run = %s", (first,))
    done = post.cli("replay", "--run", first)
    assert done.code == 0 and f"{ROWS} unchanged" in done.out
    assert active(post) == (ROWS + 40, 0)
    assert post.cli("replay", "--run", first).code == 0
    assert active(post) == (ROWS + 40, 0)


def test_ten_thousand_keys_a_portion(post, portal):
    """Ranges meet where portions do, and the last one may be empty: every vanished row is found once."""
    write(post, deactivate_limit="50%")
    serve(portal, 12_000)
    post.sync()
    everything = truth(portal)
    for rows in (11_000, 10_000, 12_000):
        serve(portal, rows)
        post.sync()
        served = truth(portal)
        assert keys(post) == served and keys(post, False) == everything - served


def test_keep_leaves_them_alone(bare, portal):
    dataset = yaml.safe_load((ROOT / "conf/datasets.d/pincode_directory.yaml").read_text(encoding="utf-8"))
    dataset["sources"]["all"].update(jitter="0s", page_size=1000)
    bare.post = dataset
    bare.live(schedule=None, on_start=False)
    write(bare, missing_rows="keep")
    bare.apply()
    for rows in (ROWS, ROWS - 100):
        serve(portal, rows)
        bare.sync()
    assert bare.value("SELECT count(*) FROM post.office") == ROWS
