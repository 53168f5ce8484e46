"""ogdsync, the operator's command, with a daemon and a database."""

import json

from harness import CONFIG, UNAVAILABLE, today


def test_status(site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        text = site.cli("status")
        assert text.code == 0 and text.err == "", text
        assert "mandi_prices" in text.out and "live" in text.out and str(today()) in text.out
        document = site.cli("status", "--json")
        assert document.code == 0 and json.loads(document.out)["last_sync"]["records_fetched"] == 400
        by_socket = site.run("ogdsync", "--socket", site.socket, "status", "--json")
        assert json.loads(by_socket.out)["total_syncs"] == 1
        by_variable = site.run("ogdsync", "status", OGDSYNC_SOCKET=f"127.0.0.1:{site.port}")
        assert by_variable.code == 0, by_variable


def test_status_without_daemon(site):
    done = site.cli("status")
    assert done.code == UNAVAILABLE and str(site.socket) in done.err and done.out == "", done
    done = site.cli("status", "--check")
    assert done.code == 2, done


def test_the_check(site, portal, cluster):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        done = site.cli("status", "--check")
        assert (done.code, done.out) == (0, "OK\n"), done
        cluster.stop()
        daemon.wait_status(lambda status: status["database"]["state"] == "down")
        done = site.cli("status", "--check")
        assert done.code == 1 and done.out.startswith("WARNING: the database is down"), done
        cluster.start()


def test_the_check_of_a_failure(site, portal):
    portal.control(faults=[{"kind": "502"}])
    with site.start() as daemon:
        daemon.wait_syncs(1)
        done = site.cli("status", "--check")
        assert done.code == 2 and done.out.startswith("CRITICAL: ") and "502" in done.out, done


def test_the_check_of_a_partial_run(site, portal):
    portal.control(resources={"daily": {"total_offset": 5}})
    with site.start() as daemon:
        daemon.wait_syncs(1)
        done = site.cli("status", "--check")
        assert done.code == 1 and done.out.startswith("WARNING: partial"), done


def objects(site):
    return site.query("SELECT n.nspname, c.relname, c.relkind::text FROM pg_class c"
                      " JOIN pg_namespace n ON n.oid = c.relnamespace"
                      " WHERE n.nspname IN ('ogdsync', 'mandi') ORDER BY 1, 2, 3")


def test_schema_plan_shows_and_changes_nothing(bare):
    plan = bare.cli("schema", "plan")
    assert plan.code == 0, plan
    for part in ("CREATE SCHEMA", "TABLE ogdsync.lease", 'TABLE "mandi"."price"', 'TABLE "mandi"."market"',
                 'PRIMARY KEY ("commodity_id", "arrival_date", "market_id"', f"{today().year}", "PARTITION"):
        assert part in plan.out, part
    assert objects(bare) == []


def test_what_schema_plan_prints_makes_the_same_schema(bare, make_site, portal):
    plan = bare.cli("schema", "plan")
    with bare.connect("owner") as db:
        db.execute(plan.out)
    other = make_site(portal)
    other.apply()
    assert objects(bare) == objects(other)
    assert bare.cli("schema", "plan").out.strip() in ("", "-- nothing to do") or "nothing" in bare.cli(
        "schema", "plan").err


def test_schema_apply_twice(bare):
    first = bare.cli("schema", "apply", "--writer", "loader")
    assert first.code == 0, first
    before = objects(bare)
    second = bare.cli("schema", "apply", "--writer", "loader")
    assert second.code == 0 and "nothing to do" in second.out + second.err, second
    assert objects(bare) == before


def test_schema_apply_adds_what_is_missing(site):
    with site.connect("owner") as db:
        db.execute(f"DROP TABLE mandi.price_{today().year + 1}") if site.query(
            "SELECT 1 FROM pg_class WHERE relname = %s", f"price_{today().year + 1}") else None
        db.execute("DROP VIEW mandi.price_named CASCADE")
    assert "price_named" in site.cli("schema", "plan").out
    site.apply()
    site.sync()
    assert site.rows() == site.truth()


def test_the_writer_can_load_and_no_more(site):
    site.sync()
    site.check_books()
    assert site.value("SELECT has_table_privilege('loader', 'mandi.price', 'INSERT, SELECT')")
    assert not site.value("SELECT has_schema_privilege('loader', 'mandi', 'CREATE')")
    assert not site.value("SELECT has_table_privilege('loader', 'mandi.price', 'TRUNCATE')")


def test_a_table_that_differs_is_not_touched(bare):
    with bare.connect("owner") as db:
        db.execute("CREATE SCHEMA mandi; CREATE TABLE mandi.commodity (commodity_id text PRIMARY KEY, commodity int)")
    done = bare.cli("schema", "apply")
    assert done.code == CONFIG and "mandi.commodity" in done.err, done
    assert bare.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'ogdsync'") == 0, "one transaction"


def test_schema_without_database(bare, cluster):
    bare.configure(database={"owner_dsn": cluster.dsn("nowhere")})
    done = bare.cli("schema", "plan")
    assert done.code not in (0, 70) and "nowhere" in done.err, done


def test_config_check(bare):
    done = bare.cli("config", "check")
    assert done.code == 0 and "OK, 1 dataset with 2 sources" in done.out, done
    bare.config_file.write_text("portal: {retries: 3}\n")
    done = bare.cli("config", "check")
    assert done.code == CONFIG and f"{bare.config_file}:1:10: " in done.err and "1 problem" in done.err, done


def test_help_and_version(bare):
    done = bare.run("ogdsync", "--help")
    assert done.code == 0 and "status" in done.out and "schema apply" in done.out, done
    for name in ("ogdsync", "ogdsyncd"):
        done = bare.run(name, "--version")
        assert done.code == 0 and done.out.startswith(f"{name} ") and done.err == "", done
    done = bare.run("ogdsync", "stauts")
    assert done.code == 64 and "status" in done.err, done
