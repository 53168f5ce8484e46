"""What bash makes of the completion that `ogdsync completion` prints."""

import os
import re
import subprocess

import pytest

from harness import program

# COMP_WORDS as readline makes them: a word ends at `=` too.
SCRIPT = r"""
opts=
compopt() { [[ $1 == -o ]] && opts+="$2 "; }
source "$1"
shift
mapfile -t COMP_WORDS < <(printf '%s\n' "$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ogdsync ogdsync
printf '%s\n' "${COMPREPLY[@]}"
echo "options: $opts"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "ogdsync"
    done = subprocess.run([program("ogdsync"), "completion"], check=True, capture_output=True, text=True)
    path.write_text(done.stdout)
    return path


def complete(script, *words, cwd=None):
    """(what bash offers, options of the completion) for a line whose last word is being typed."""
    done = subprocess.run(["bash", "--norc", "-u", "-c", SCRIPT, "bash", script, "ogdsync", *words], cwd=cwd,
                          capture_output=True, text=True, timeout=20, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0 and done.stderr == "", done
    *found, options = done.stdout.splitlines()
    return [word for word in found if word], options.removeprefix("options:").split()


def commands():
    text = subprocess.run([program("ogdsync"), "--help"], check=True, capture_output=True, text=True).stdout
    listed = re.search(r"Commands:\n(.*?)\n\n", text, re.S).group(1)
    return [re.split(r"\s{2,}", line.strip())[0] for line in listed.splitlines()]


def test_the_script_is_good_bash(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert "complete -F _ogdsync ogdsync" in script.read_text()


def test_every_command_is_offered(script):
    found, _ = complete(script, "")
    assert found == sorted({name.split()[0] for name in commands()})
    for group in {name.split()[0] for name in commands() if " " in name}:
        found, _ = complete(script, group, "")
        assert found == sorted(name.split()[1] for name in commands() if name.startswith(group + " "))


def test_a_word_that_is_begun(script):
    assert complete(script, "stat")[0] == ["status"]
    assert complete(script, "schema", "pl")[0] == ["plan"]
    assert complete(script, "--config", "x.yaml", "stat")[0] == ["status"]
    assert complete(script, "--config", "=", "x.yaml", "schema", "")[0] == ["apply", "plan"]
    assert complete(script, "nonsense", "")[0] == []


def test_every_option_of_every_command(script):
    for name in commands():
        text = subprocess.run([program("ogdsync"), *name.split(), "--help"], check=True, capture_output=True,
                              text=True).stdout
        listed = re.findall(r"^ +--([a-z-]+)(=?)", text, re.M)
        found, _ = complete(script, *name.split(), "--")
        assert sorted(found) == sorted(f"--{option}{equals}" for option, equals in listed), name


def test_an_option_that_takes_a_value_is_followed_by_it(script):
    assert complete(script, "schema", "plan", "--wr") == (["--writer="], ["nospace"])
    assert complete(script, "schema", "plan", "--writer", "=", "")[0] == []
    assert complete(script, "status", "--js") == (["--json"], [])


def test_files(script, tmp_path):
    (tmp_path / "one.yaml").touch()
    (tmp_path / "two words.yaml").touch()
    for words in (["--config", ""], ["--config", "="], ["status", "--config", "=", ""], ["config", "check", ""]):
        found, options = complete(script, *words, cwd=tmp_path)
        assert (sorted(found), options) == (["one.yaml", "two words.yaml"], ["filenames"]), words
    assert complete(script, "--config", "=", "tw", cwd=tmp_path)[0] == ["two words.yaml"]
