"""The environment of services: what is the bus's own, and what only its process has."""

from __future__ import annotations

import subprocess
import sys

from bridge.activation.environment import Environment
from tests.buses import ROOT

PRINT = (
    "import os; from bridge.activation.environment import inherited; print(inherited(os.environ))"
)


def test_python_s_own_locale_is_not_inherited() -> None:
    """PEP 538: without a locale Python sets one, which other programs would then have."""
    for locale in ({"LANG": "C"}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "C.UTF-8"}):
        own = locale | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PRINT], env=own, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{own}\n"


def test_what_is_about_the_bus_alone_is_left_out() -> None:
    about = ("NOTIFY_SOCKET", "LISTEN_FDS", "INVOCATION_ID", "WATCHDOG_USEC", "WATCHDOG_PID")
    own = dict.fromkeys(about, "1") | {"MAINPID": "1"}
    assert Environment(own, "a:b=c").of_services("") == {
        "MAINPID": "1",
        "DBUS_STARTER_ADDRESS": "a:b=c",
    }


def test_the_variables_of_each_type_of_bus() -> None:
    environment = Environment({"DBUS_SYSTEM_BUS_ADDRESS": "other"}, "a:b=c")
    assert environment.of_services("system")["DBUS_SYSTEM_BUS_ADDRESS"] == "a:b=c"
    assert environment.of_services("session")["DBUS_SYSTEM_BUS_ADDRESS"] == "other"
    assert environment.of_services("other")["DBUS_STARTER_BUS_TYPE"] == "other"


def test_services_that_speak_natively_find_the_bus() -> None:
    environment = Environment({"BUS1_ADDRESS": "other"}, "a:b=c", "unix:path=/x")
    assert environment.of_services("")["BUS1_ADDRESS"] == "unix:path=/x"
    environment.update({"BUS1_ADDRESS": "another"})
    assert environment.of_services("session")["BUS1_ADDRESS"] == "unix:path=/x"
    assert "BUS1_ADDRESS" not in Environment({}, "a:b=c").of_services("session")
