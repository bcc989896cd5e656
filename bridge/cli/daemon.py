"""`bus1-daemon`: takes dbus-daemon's place, from the command line to the exit status.

Harnesses wait for the address: what is slow to import is imported as late as possible.
"""

import logging
import os
import signal
import sys
from types import FrameType

from bridge.cli.log import NAME, configure
from bridge.cli.options import Action, LogTo, Options, UsageError, parse
from bridge.transport.launch import Listener, StartError, listen, new_guid, notify
from bridge.transport.process import (
    check_writable,
    close_out,
    go_to_background,
    open_standard_fds,
    raise_fd_limit,
    write_out,
)
from bridge.transport.settings import Settings
from policy.builtin import session
from policy.configuration import Configuration

SESSION = "--session"

log = logging.getLogger("bus1.daemon")


def main() -> int:
    """Do what the command line says; the exit status."""
    open_standard_fds()
    try:
        options = parse(sys.argv[1:])
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    if options.action is Action.VERSION:
        return print_version()
    if options.action is Action.INTROSPECT:
        return print_interfaces()
    try:
        serve(options)
    except StartError as error:
        print(f"{NAME}[{os.getpid()}]: Failed to start message bus: {error}", file=sys.stderr)
        return 1
    return 0


def serve(options: Options) -> None:
    """Be a bus until a signal ends it. Raises StartError."""
    for fd in printed_to(options):
        check_writable(fd)
    configuration = configured(options)
    configure(options.log_to or LogTo.STDERR, configuration.type)
    if configuration.service_directories:
        log.info("Service directories are not used by this release: it starts no services")
    raise_fd_limit()
    end_cleanly()
    listeners: list[Listener] = []
    try:
        for addresses in [options.address] if options.address else configuration.listen:
            listeners += listen(addresses, os.environ)
        run_here_or_in_background(options, configuration, listeners)
    finally:
        for listener in listeners:
            listener.close()


def configured(options: Options) -> Configuration:
    """What the command line chose. Raises StartError.

    The file is read before anything is printed: harnesses remove it then.
    """
    if options.configuration == SESSION:
        return session()
    if options.config_file is None:
        raise StartError(f"{options.configuration}: the system bus comes with a later release")
    from policy.busconfig import ConfigError, load

    try:
        return load(options.config_file)
    except ConfigError as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(f'Failed to open "{options.config_file}": {error.strerror}') from None


def run_here_or_in_background(
    options: Options, configuration: Configuration, listeners: list[Listener]
) -> None:
    """Run, and tell everybody who wants to know when clients are served."""
    address = ";".join(listener.address for listener in listeners)

    def announce(pid: int) -> None:
        if options.print_address is not None:
            write_out(options.print_address, f"{address}\n")
        if options.print_pid is not None:
            write_out(options.print_pid, f"{pid}\n")

    serving = go_to_background(announce) if options.fork else lambda: announce(os.getpid())

    def ready() -> None:
        serving()
        close_out(printed_to(options))
        notify("READY=1", os.environ)

    def stopping() -> None:
        notify("STOPPING=1", os.environ)

    from bridge.transport.server import run

    run(Settings(configuration, new_guid()), listeners, ready, stopping)


def printed_to(options: Options) -> set[int]:
    """The descriptors that were given to us to print to."""
    return {fd for fd in (options.print_address, options.print_pid) if fd is not None}


def end_cleanly() -> None:
    """Remove the sockets even if the signal comes before the server watches for it."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def print_version() -> int:
    """The version is the first line's last word, as in dbus-daemon's output."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("bus1")
    except PackageNotFoundError:
        number = "not-installed"
    print(f"D-Bus Message Bus Daemon (bus1) {number}")
    return 0


def print_interfaces() -> int:
    """What introspecting the bus itself would say."""
    from bridge.driver.tables import document

    print(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
