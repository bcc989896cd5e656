"""The command line of `bus1-daemon`: dbus-daemon's, and --native. It only reads it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

USAGE: Final = (
    "bus1-daemon [--version] [--session] [--system] [--config-file=FILE]"
    " [--print-address[=DESCRIPTOR]] [--print-pid[=DESCRIPTOR]] [--introspect]"
    " [--address=ADDRESS] [--nopidfile] [--nosyslog] [--syslog] [--syslog-only] [--nofork]"
    " [--fork] [--systemd-activation] [--native=ADDRESS]"
)
STDOUT: Final = "1"
HIGHEST_FD: Final = 2**31 - 1


class UsageError(Exception):
    """What is to be printed instead of starting."""


class Action(Enum):
    """What the command line asks for."""

    RUN = 1
    VERSION = 2
    INTROSPECT = 3


class LogTo(Enum):
    """Where the log goes, as far as the command line says."""

    STDERR = 1
    BOTH = 2
    SYSLOG = 3


@dataclass(slots=True)
class Options:
    """The command line, read. Descriptors are words until all has been read."""

    action: Action = Action.RUN
    configuration: str = ""  # "--session", "--system", or "configuration file FILE"
    config_file: str | None = None
    address: str = ""
    native: str = ""
    address_fd: str | None = None
    pid_fd: str | None = None
    fork: bool | None = None
    pid_file: bool = True
    log_to: LogTo | None = None
    print_address: int | None = None
    print_pid: int | None = None
    systemd_activation: bool = False


def parse(words: Sequence[str]) -> Options:
    """The options in these words, which do not include the program. Raises UsageError.

    A value follows `=`, or is the next word unless that begins with `--`: so a bare
    `--print-address` can stand before any other option. `--help` is no option and gives the
    usage like whatever else is none, with an exit status that says so: dbus-daemon's way.
    """
    options = Options()
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        name, equals, value = word.partition("=")
        if word in FLAGS:
            FLAGS[word](options)
            if options.action is not Action.RUN:
                return options
        elif name in VALUES:
            if not equals and rest and not rest[-1].startswith("--"):
                value = rest.pop()
            VALUES[name](options, value)
        else:
            raise UsageError(USAGE)
    if not options.configuration:
        raise UsageError("No configuration file specified.\n" + USAGE)
    options.print_address = descriptor(options.address_fd)
    options.print_pid = descriptor(options.pid_fd)
    return options


def descriptor(word: str | None) -> int | None:
    """The number that a word means; the empty one means stdout."""
    if word is None:
        return None
    number = word or STDOUT
    if not (number.isascii() and number.isdecimal() and int(number) <= HIGHEST_FD):
        raise UsageError(f'Invalid file descriptor: "{word}"')
    return int(number)


# ------------------------------------------------------------------------- actions


def configure(option: str, what: str) -> Callable[[Options], None]:
    """An option that chooses the configuration: there can be only one."""

    def choose(options: Options) -> None:
        if options.configuration:
            raise UsageError(f"{option} specified but {options.configuration} already requested")
        options.configuration = what

    return choose


def config_file(options: Options, value: str) -> None:
    if value:
        configure("--config-file", f"configuration file {value}")(options)
        options.config_file = value


def address(options: Options, value: str) -> None:
    if options.address and value:
        raise UsageError(f"--address specified but address {options.address} already requested")
    options.address = options.address or value


def native(options: Options, value: str) -> None:
    if options.native and value:
        raise UsageError(f"--native specified but address {options.native} already requested")
    options.native = options.native or value


def print_address(options: Options, value: str) -> None:
    if options.address_fd and value:
        raise UsageError(
            f"--print-address specified but printing address to {options.address_fd}"
            " already requested"
        )
    options.address_fd = options.address_fd or value


def print_pid(options: Options, value: str) -> None:
    if options.pid_fd and value:
        raise UsageError(
            f"--print-pid specified but printing pid to {options.pid_fd} already requested"
        )
    options.pid_fd = options.pid_fd or value


def put(field: str, value: object) -> Callable[[Options], None]:
    """An option that means one value of one field; the last one counts."""
    return lambda options: setattr(options, field, value)


def syslog(options: Options) -> None:
    """Only --nosyslog takes --syslog-only back."""
    if options.log_to is not LogTo.SYSLOG:
        options.log_to = LogTo.BOTH


FLAGS: Final[Mapping[str, Callable[[Options], None]]] = {
    "--version": put("action", Action.VERSION),
    "--introspect": put("action", Action.INTROSPECT),
    "--session": configure("--session", "--session"),
    "--system": configure("--system", "--system"),
    "--fork": put("fork", True),
    "--nofork": put("fork", False),
    "--nopidfile": put("pid_file", False),
    "--syslog": syslog,
    "--nosyslog": put("log_to", LogTo.STDERR),
    "--syslog-only": put("log_to", LogTo.SYSLOG),
    "--systemd-activation": put("systemd_activation", True),
}

VALUES: Final[Mapping[str, Callable[[Options, str], None]]] = {
    "--config-file": config_file,
    "--address": address,
    "--native": native,
    "--print-address": print_address,
    "--print-pid": print_pid,
}
