"""No output of any test may hold the key or the password: looked at as it comes, told at the end.

A pytest plugin. It sees what the programs wrote (stdout, stderr, log), what they answered over HTTP,
what they told the service manager, and what pytest itself captured.
"""

import functools
from urllib.parse import quote, quote_plus

import harness


def forms_of(*secrets):
    """Each secret as such and percent-encoded in either way; as bytes."""
    forms = set()
    for secret in secrets:
        forms |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()}
    return sorted(form.encode() for form in forms)


class SecretsCheck:
    def __init__(self):
        self._forms = forms_of(harness.KEY, harness.PASSWORD)
        self._test = "?"
        self._n_looked_at = 0
        self._found = []

    def look(self, what, data):
        self._n_looked_at += 1
        data = data if isinstance(data, bytes) else str(data).encode()
        if any(form in data for form in self._forms):
            self._found.append(f"{self._test}: {what}")

    def watch(self):
        """From now on, all that the harness takes from the programs passes by here."""
        check = self

        def after(owner, name, do):
            method = getattr(owner, name)

            @functools.wraps(method)
            def watched(self, *args, **kwargs):
                try:
                    return method(self, *args, **kwargs)
                finally:
                    do(self)

            setattr(owner, name, watched)

        def before(owner, name, do):
            method = getattr(owner, name)

            @functools.wraps(method)
            def watched(self, *args, **kwargs):
                do(self)
                return method(self, *args, **kwargs)

            setattr(owner, name, watched)

        def look_at_log(daemon):
            check.look("the daemon's log", daemon.log())
            check.look("the daemon's notifications", "\n".join(daemon.notifications()))

        after(harness.Done, "__init__", lambda done: (check.look("stdout", done.out), check.look("stderr", done.err)))
        after(harness.Reply, "__init__", lambda reply: check.look("an answer over HTTP", reply.body))
        after(harness.Daemon, "kill", look_at_log)
        before(harness.Daemon, "__exit__", look_at_log)

    # hooks

    def pytest_runtest_logstart(self, nodeid):
        self._test = nodeid

    def pytest_runtest_logreport(self, report):
        for name, text in report.sections:
            self.look(name, text)

    def pytest_sessionfinish(self, session):
        if self._found and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        if self._found:
            terminalreporter.section("secrets in outputs", red=True)
            for line in sorted(set(self._found)):
                terminalreporter.line(line)
        else:
            terminalreporter.line(f"{self._n_looked_at} outputs looked at, no secret in them")


def register(config):
    """From conftest's pytest_configure()."""
    check = SecretsCheck()
    check.watch()
    config.pluginmanager.register(check, "secrets_check")
