"""`bus1-daemon`: takes dbus-daemon's place, from the command line to the exit status.

Harnesses wait for the address: what is slow to import is imported as late as possible.
"""

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from types import FrameType

from bridge.cli.choosing import (
    check_mechanisms,
    configured,
    counted,
    log_to,
    mediated,
    native,
    pid_file_of,
    tell,
)
from bridge.cli.log import NAME, configure
from bridge.cli.options import Action, Options, UsageError, parse
from bridge.transport.launch import Listener, StartError, check_apart, listen
from bridge.transport.process import (
    check_writable,
    close_out,
    go_to_background,
    hold_signals,
    open_standard_fds,
    program_version,
    raise_fd_limit,
    remove_pid_file,
    write_out,
    write_pid_file,
)
from bridge.transport.settings import Settings
from bridge.transport.user import User, become, find_user


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
    """Be a bus until a signal ends it. Raises StartError.

    What can fail without a trace comes first: nothing is listened at, or written, before it.
    """
    for fd in printed_to(options):
        check_writable(fd)
    settings = configured(options)
    configuration = settings.loaded.configuration
    check_mechanisms(configuration)
    pid_file = pid_file_of(options, configuration)
    user = None if configuration.user is None else find_user(configuration.user)
    configure(log_to(options, configuration), configuration.type)
    tell(settings.loaded)
    settings = replace(settings, mediator=mediated(configuration))
    raise_fd_limit()
    end_cleanly()
    settings = counted(settings)
    listening: list[list[Listener]] = []
    try:
        settings = native(options, settings)
        for addresses in [options.address] if options.address else configuration.listen:
            listening.append(listen(addresses, os.environ))
        check_apart(settings.native, [each for some in listening for each in some])
        run_here_or_in_background(options, settings, listening, pid_file, user)
    finally:
        for listeners in (*listening, settings.metrics, settings.native):
            for listener in listeners:
                listener.close()


# -------------------------------------------------------------------------- the process


def run_here_or_in_background(
    options: Options,
    settings: Settings,
    listening: list[list[Listener]],
    pid_file: str | None,
    user: User | None,
) -> None:
    """Run, and tell everybody who wants to know when clients are served."""
    configuration = settings.loaded.configuration

    def announce(pid: int) -> None:
        if options.print_address is not None:
            write_out(options.print_address, f"{address_of(listening)}\n")
        if options.print_pid is not None:
            write_out(options.print_pid, f"{pid}\n")

    def enter(pid: int) -> None:  # by whoever may still do it, the one that does not change
        if pid_file is not None:
            write_pid_file(pid_file, pid)

    def report(pid: int) -> None:
        enter(pid)
        announce(pid)

    if configuration.fork if options.fork is None else options.fork:
        serving = go_to_background(report, configuration.keep_umask)
    else:
        enter(os.getpid())
        serving = partial(announce, os.getpid())

    def ready() -> None:
        serving()
        close_out(printed_to(options))

    try:
        from bridge.transport.serving import run

        if user is not None:
            from bridge.cli.late import import_what_is_hidden

            import_what_is_hidden()
            become(user, keep_audit=settings.mediator is not None)
        listeners = [listener for each in listening for listener in each]
        settings = replace(settings, address=address_of(listening))
        run(settings, listeners, ready)
    finally:
        if pid_file is not None:
            remove_pid_file(pid_file)


def address_of(listening: list[list[Listener]]) -> str:
    """What clients connect to: they try in order, and the last <listen> stands above the first,
    as with dbus-daemon."""
    return ";".join(listener.address for each in reversed(listening) for listener in each)


def printed_to(options: Options) -> set[int]:
    """The descriptors that were given to us to print to."""
    return {fd for fd in (options.print_address, options.print_pid) if fd is not None}


def end_cleanly() -> None:
    """Remove the sockets whenever the signal comes; when it comes too early it waits for the
    server, or ends the process that waits for the server to be in the background."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hold_signals()


def print_version() -> int:
    """The version is the first line's last word, as in dbus-daemon's output."""
    print(f"D-Bus Message Bus Daemon (bus1) {program_version()}")
    return 0


def print_interfaces() -> int:
    """What introspecting the bus itself would say."""
    from bridge.driver.tables import document

    print(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
