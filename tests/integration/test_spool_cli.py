"""ogdsync spool ls, spool verify: beside a running daemon, without one, with damaged files."""

import json
import os

from harness import wait_until

NO_INPUT, DATA, USAGE = 66, 65, 64


def files(site):
    return sorted(name for name in os.listdir(site.spool) if name.rsplit(".", 1)[-1] in
                  ("part", "ready", "loaded", "damaged"))


def listed(site):
    done = site.cli("spool", "ls", "--json")
    assert done.code == 0, done
    return json.loads(done.out)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x40]))


def test_what_lies_on_the_disk(site):
    site.history()
    site.sync()
    spool = listed(site)
    assert [one["file"] for one in spool["files"]] == files(site)
    assert spool["directory"] == str(site.spool)
    assert spool["bytes"] == sum(os.path.getsize(site.spool / name) for name in files(site))
    live = [one for one in spool["files"] if one["source"] == "live"]
    assert len(live) == 1 and len(spool["files"]) == 4
    assert live[0]["state"] == "loaded" and live[0]["outcome"] == "proven" and live[0]["code"] is None
    assert live[0]["received"] == 400 and live[0]["slice"] == "all" and live[0]["dataset"] == "mandi_prices"
    assert live[0]["run"] == site.value("SELECT id FROM ogdsync.run WHERE source = 'live'")
    text = site.cli("spool", "ls").out.splitlines()
    assert text[0].split() == ["STATE", "SOURCE", "SLICE", "FETCHED", "ROWS", "BYTES", "SINCE", "FILE"]
    assert [line.split()[-1] for line in text[1:]] == files(site)


def test_beside_a_running_daemon_while_it_fetches(site, portal):
    portal.control(latency={"base": 0.2, "per_row": 0, "scale": 1})
    site.live(page_size=20)
    with site.start() as daemon:
        part = wait_until(lambda: [one for one in listed(site)["files"] if one["state"] == "part"], 10, "a .part")
        assert part[0]["slice"] == "all" and part[0]["outcome"] is None and part[0]["received"] is None
        wait_until(lambda: "not finished, whole up to byte" in site.cli("spool", "verify", "--all").out, 10, "pages")
        portal.control(latency=None)
        daemon.wait_syncs(1)
        assert [one["state"] for one in listed(site)["files"]] == ["loaded"]
        done = site.cli("spool", "verify", "--all")
        assert done.code == 0 and done.out == f"{files(site)[0]}: OK, 20 pages, 400 rows\n" and done.err == ""


def test_verify_names_file_block_and_byte(site):
    site.live(page_size=100)
    site.sync()
    name = files(site)[0]
    path = site.spool / name
    assert site.cli("spool", "verify", path).out == f"{path}: OK, 4 pages, 400 rows\n"
    good = path.read_bytes()
    found = set()
    for at in range(len(good) - 1, 15, -len(good) // 40):
        flip(path, at)
        done = site.cli("spool", "verify", path)
        assert done.code == DATA, (at, done)
        assert f"{path}: block " in done.err and " at byte " in done.err and done.out == ""
        found.add(done.err.split("block ")[1].split(" ")[0])
        path.write_bytes(good)
    assert found >= {"1", "2", "3", "4"}
    path.write_bytes(good[:-7])
    assert site.cli("spool", "verify", path).code == DATA
    path.write_bytes(good)
    assert site.cli("spool", "verify", path).code == 0


def test_one_bad_file_among_good_ones(site):
    site.history()
    site.sync()
    bad = site.spool / files(site)[1]
    flip(bad, os.path.getsize(bad) // 2)
    done = site.cli("spool", "verify", "--all")
    assert done.code == DATA and done.out.count(": OK, ") == 3 and done.err.count("block ") == 1
    assert str(bad) in done.err


def test_what_cannot_be_read(site):
    site.sync()
    assert site.cli("spool", "verify").code == USAGE
    assert site.cli("spool", "verify", "--all", "x").code == USAGE
    assert site.cli("spool", "verify", "/nowhere/1-2.loaded").code == NO_INPUT
    odd = site.spool / "notes.txt"
    odd.write_text("not of the spool")
    assert len(listed(site)["files"]) == 1
    assert site.cli("spool", "verify", odd).code == DATA
    site.configure(spool={"directory": "/nowhere"})
    done = site.cli("spool", "ls")
    assert done.code == NO_INPUT and "/nowhere" in done.err
