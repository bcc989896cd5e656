"""`bus1-launch-helper NAME`: becomes a service of the system bus, as the user it is meant for.

Who runs it is root: the bus itself, or the setuid trampoline (trampoline.c) for the bus's user.
It believes nobody: the configuration and the service file it reads itself, and of the caller's
environment nothing is used (CVE-2012-3524). Its exit status says what was wrong.
"""

import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NoReturn, final

from bridge.activation import directories, service_file
from bridge.activation.helper import Exit
from bridge.activation.service import Service
from bridge.transport.launch import StartError
from bridge.transport.user import User, become, find_user
from bridge.wire.names import is_bus_name
from policy.configuration import ConfigError, Configuration
from policy.files.load import standard
from policy.text import escaped

NAME: Final = "bus1-launch-helper"
CALLER: Final = "--caller"  # the trampoline's: the user who asked it
HELP: Final = ("-h", "-?", "--help")
OOM: Final = "/proc/self/oom_score_adj"
# All that a service of the system bus finds there, as with the reference's helper.
ENVIRONMENT: Final = {
    "DBUS_STARTER_ADDRESS": "unix:path=/run/dbus/system_bus_socket",
    "DBUS_STARTER_BUS_TYPE": "system",
}


@final
class Wrong(Exception):
    """Why there will be no service: the exit status, and a line for the log."""

    def __init__(self, status: Exit, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


def main() -> int:
    """Become the service; the exit status, if that cannot be."""
    words = sys.argv[1:]
    caller = os.getuid()
    if len(words) == 3 and words[0] == CALLER and words[1].isdecimal():
        caller, words = int(words[1]), words[2:]
    if len(words) != 1 or words[0] in HELP:
        print(f"{NAME} service.to.activate", file=sys.stderr)
        return 0
    os.environ.clear()
    try:
        launch(words[0], caller)
    except Wrong as wrong:
        print(f"{NAME}: {escaped(wrong.text)}", file=sys.stderr)
        return wrong.status
    except MemoryError:
        return Exit.NO_MEMORY


def launch(name: str, caller: int) -> NoReturn:
    """Be what provides the name from now on. Raises Wrong."""
    if not is_bus_name(name):
        raise Wrong(Exit.NAME_INVALID, f"bus name '{name}' is not a valid bus name")
    try:
        configuration = standard("system")
    except (ConfigError, OSError) as error:
        raise Wrong(Exit.CONFIG_INVALID, str(error)) from None
    check_caller(configuration, caller)
    service = provider(configuration, name)
    if service.user is None:
        raise Wrong(Exit.FAILED, f'No "User" key in {service.file}')
    reset_oom_score()
    switch_to(service.user)
    if not service.words:
        raise Wrong(Exit.INVALID_ARGS, f"{service.file}: {service.wrong}")
    execute(service)


def check_caller(configuration: Configuration, caller: int) -> None:
    """Only the user that the system bus runs as may start services. Raises Wrong."""
    try:
        bus = find_user(configuration.user or "")
    except StartError as error:
        raise Wrong(Exit.PERMISSIONS_INVALID, str(error)) from None
    if bus.uid != caller:
        raise Wrong(Exit.PERMISSIONS_INVALID, f"not invoked from user '{bus.name}'")
    if os.geteuid() != 0:
        raise Wrong(Exit.PERMISSIONS_INVALID, "not run by root, nor setuid root")


# ---------------------------------------------------------------------- the service file


def provider(configuration: Configuration, name: str) -> Service:
    """The service by this name, from the first file that bears it and can be read. Raises Wrong."""
    for path, keys in files(configuration, name):
        if keys.get("Name", name) != name:
            raise Wrong(Exit.FILE_INVALID, f"{path} is for '{keys['Name']}', not for '{name}'")
        try:
            return service_file.service(keys, path)
        except service_file.Broken as error:
            raise Wrong(Exit.FAILED, f"{path}: {error}") from None
    raise Wrong(Exit.SERVICE_NOT_FOUND, f"The name {name} was not provided by any .service files")


def files(configuration: Configuration, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What stands in each file that is called after the service, in the order of directories."""
    for directory in directories.find(configuration, ENVIRONMENT, []):
        path = os.path.join(directory.path, f"{name}.service")
        try:
            keys = service_file.parse(service_file.content(path).decode())
        except (OSError, service_file.Broken, UnicodeDecodeError):
            continue
        yield path, keys


# ------------------------------------------------------------------------- the process


def reset_oom_score() -> None:
    """The bus is the last to be killed when memory runs out, and its user cannot change that: a
    service is as anybody. That this works is not worth a service."""
    with suppress(OSError):
        with open(OOM, encoding="ascii") as file:
            protected = file.read(1) == "-"
        if protected:
            with open(OOM, "w", encoding="ascii") as file:
                file.write("0")


def switch_to(name: str) -> None:
    """Be that user, and nobody's else; numbers are no names here. Raises Wrong."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise Wrong(Exit.SETUP_FAILED, f"cannot find user '{name}'") from None
    groups = os.getgrouplist(name, entry.pw_gid)
    try:
        become(User(name, entry.pw_uid, entry.pw_gid, tuple(groups)))
    except StartError as error:
        raise Wrong(Exit.SETUP_FAILED, str(error)) from None


def execute(service: Service) -> NoReturn:
    """The first word is a path: it is not looked for anywhere. Raises Wrong.

    SIGPIPE stays ignored, as it is in all services that a bus starts.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which the interpreter has had ignored
    try:
        os.execve(service.words[0], service.words, ENVIRONMENT)
    except (OSError, ValueError) as error:
        raise Wrong(Exit.EXEC_FAILED, f"Failed to exec: {service.words[0]}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
