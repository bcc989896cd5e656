"""What the command line and the files choose for a bus, before it is one. Nothing is listened at
here but the sockets where it is counted, and where native programs find it.
"""

import logging
import os
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Final

from bridge.activation.environment import inherited
from bridge.cli.options import LogTo, Options
from bridge.mediation.find import find
from bridge.mediation.library import Missing
from bridge.routing.mediator import Mediator
from bridge.transport.identity import ourselves
from bridge.transport.launch import (
    Listener,
    StartError,
    listen_for_metrics,
    listen_for_natives,
    new_guid,
)
from bridge.transport.output import STREAMS
from bridge.transport.process import check_no_pid_file
from bridge.transport.settings import Loaded, Read, Settings, load, reason
from policy.configuration import ConfigError, Configuration
from policy.files.load import load as load_file
from policy.files.load import standard

SESSION: Final = "--session"
OFFERED: Final = ("EXTERNAL", "ANONYMOUS")
NOT_OFFERED: Final = "DBUS_COOKIE_SHA1"  # dbus-daemon's, for sockets that tell no credentials

log = logging.getLogger("bus1.daemon")


def configured(options: Options) -> Settings:
    """What the command line chose. Raises StartError.

    The files are read before anything is printed: harnesses remove theirs then.
    """
    root = options.config_file and os.path.abspath(options.config_file)
    try:
        read = reading(options, root)
        loaded = load(read)
        logged = log_to(options, loaded.configuration) is not LogTo.STDERR
        return Settings(
            loaded,
            read,
            new_guid(),
            root,
            environment=inherited(os.environ),
            systemd_activation=options.systemd_activation,
            journal=STREAMS if logged else None,
        )
    except (ConfigError, OSError) as error:
        raise StartError(reason(error)) from None


def reading(options: Options, root: str | None) -> Read:
    """How to read it, now and later."""
    if root is not None:
        return partial(load_file, root)
    return partial(standard, "session" if options.configuration == SESSION else "system")


def check_mechanisms(configuration: Configuration) -> None:
    """<auth>: the reference's own that is not here is no obstacle beside one that is."""
    if configuration.auth and not set(OFFERED) & set(configuration.auth):
        raise StartError(
            f'Unsupported auth mechanism "{configuration.auth[0]}" in bus config file detected.'
            f' Supported mechanisms are "{", ".join(OFFERED)}".'
        )


def pid_file_of(options: Options, configuration: Configuration) -> str | None:
    """Where to write the pid, if anywhere; a daemon will have left the directory by then."""
    if configuration.pidfile is None or not options.pid_file:
        return None
    check_no_pid_file(configuration.pidfile)
    return os.path.abspath(configuration.pidfile)


def log_to(options: Options, configuration: Configuration) -> LogTo:
    """Where the log goes: the command line stands above the files."""
    return options.log_to or (LogTo.BOTH if configuration.syslog else LogTo.STDERR)


def tell(loaded: Loaded) -> None:
    """Say in the log what the files say without effect."""
    for complaint in loaded.complaints:
        log.warning("%s", complaint)
    if NOT_OFFERED in loaded.configuration.auth:
        log.warning("Authentication by %s is not offered", NOT_OFFERED)


def mediated(configuration: Configuration) -> Mediator | None:
    """The kernel's security module that is to be asked, if there is one. Raises StartError."""
    try:
        found = find(configuration, ourselves())
    except Missing as missing:
        raise StartError(str(missing)) from None
    if found is not None:
        log.info("%s has a say on this bus", type(found).__name__)
    return found


def counted(settings: Settings) -> Settings:
    """Where the bus is counted, if anywhere. It would be no reason not to start."""
    metrics: tuple[Listener, ...] = ()
    try:
        metrics = listen_for_metrics(settings.loaded.configuration.metrics, os.environ)
        if metrics:
            import_module("bridge.transport.counting")  # while we may still read all files
    except (StartError, ImportError) as error:
        log.warning("There are no metrics: %s", error)
    return replace(settings, metrics=metrics)


def native(options: Options, settings: Settings) -> Settings:
    """Where native programs find the bus, if anywhere: the command line stands above the files.
    Raises StartError."""
    address = options.native or settings.loaded.configuration.native
    listeners = listen_for_natives(address, os.environ)
    if listeners:
        import_module("bridge.transport.natives")  # while we may still read all files
    return replace(settings, native=listeners)
