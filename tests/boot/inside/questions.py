"""What the services of a machine are asked, by whom. Only the questions; ask.py asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SESSION = "session"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
INTROSPECT = "org.freedesktop.DBus.Introspectable.Introspect"


@dataclass(frozen=True)
class Question:
    """One method call. `same`: not only the kind of answer is compared, but what it says."""

    to: str
    path: str
    what: str  # interface and member
    signature: str = ""
    arguments: tuple[Any, ...] = ()
    bus: str = "system"
    same: bool = False

    def __str__(self) -> str:
        said = ", ".join(map(repr, self.arguments))
        where = "" if self.bus == "system" else f" on the {self.bus} bus"
        member = self.what.rpartition(".")[2]
        return f"{self.to} {self.path} {member}({said}){where}"


def ask(to: str, path: str, what: str, signature: str = "", *arguments: Any) -> Question:
    return Question(to, path, what, signature, arguments)


def same(to: str, path: str, what: str, signature: str = "", *arguments: Any) -> Question:
    return Question(to, path, what, signature, arguments, same=True)


def get(to: str, path: str, what: str) -> Question:
    """A property whose value does not change between boots."""
    interface, _, name = what.rpartition(".")
    return Question(to, path, f"{PROPERTIES}.Get", "ss", (interface, name), same=True)


def everything(to: str, path: str, interface: str) -> Question:
    return Question(to, path, f"{PROPERTIES}.GetAll", "s", (interface,))


def own(what: str, *arguments: Any, signature: str = "", bus: str = "system") -> Question:
    """Of the bus itself."""
    to, path = "org.freedesktop.DBus", "/org/freedesktop/DBus"
    return Question(to, path, f"org.freedesktop.DBus.{what}", signature, arguments, bus, True)


SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
MANAGER = "org.freedesktop.systemd1.Manager"
LOGIN = ("org.freedesktop.login1", "/org/freedesktop/login1")
SEATS = "org.freedesktop.login1.Manager"
HOST = ("org.freedesktop.hostname1", "/org/freedesktop/hostname1")
TIME = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1")
SYNC = ("org.freedesktop.timesync1", "/org/freedesktop/timesync1")
LOCALE = ("org.freedesktop.locale1", "/org/freedesktop/locale1")
RESOLVE = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1")
RESOLVER = "org.freedesktop.resolve1.Manager"
POLKIT = ("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority")
AUTHORITY = "org.freedesktop.PolicyKit1.Authority"
AVAHI = ("org.freedesktop.Avahi", "/")
NETWORK = ("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager")
SETTINGS = "/org/freedesktop/NetworkManager/Settings"
MODEM = ("org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1")
BLUEZ = ("org.bluez", "/")
DISKS = ("org.freedesktop.UDisks2", "/org/freedesktop/UDisks2/Manager")
POWER = ("org.freedesktop.UPower", "/org/freedesktop/UPower")
ACCOUNTS = ("org.freedesktop.Accounts", "/org/freedesktop/Accounts")
COLOUR = ("org.freedesktop.ColorManager", "/org/freedesktop/ColorManager")
RTKIT = ("org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1")
PACKAGES = ("org.freedesktop.PackageKit", "/org/freedesktop/PackageKit")
FIREWALL = ("org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1")

# What everybody may ask, or be refused.
ALL = (
    ask(*SYSTEMD, f"{MANAGER}.ListUnits"),
    same(*SYSTEMD, f"{MANAGER}.GetUnit", "s", "polkit.service"),
    same(*SYSTEMD, f"{MANAGER}.GetUnit", "s", "nowhere.service"),
    get(*SYSTEMD, f"{MANAGER}.Version"),
    everything(*SYSTEMD, MANAGER),
    ask(*SYSTEMD, INTROSPECT),
    ask(*SYSTEMD, f"{MANAGER}.NoSuchMethod"),
    ask(*LOGIN, f"{SEATS}.ListSeats"),
    ask(*LOGIN, f"{SEATS}.ListSessions"),
    ask(*LOGIN, f"{SEATS}.ListUsers"),
    ask(*LOGIN, f"{SEATS}.CanReboot"),
    ask(*LOGIN, f"{SEATS}.Inhibit", "ssss", "sleep", "boot", "a question", "delay"),
    ask(*LOGIN, f"{SEATS}.ListInhibitors"),
    same(*LOGIN, f"{SEATS}.GetUser", "u", 4242),
    everything(*LOGIN, SEATS),
    get(*HOST, "org.freedesktop.hostname1.KernelName"),
    everything(*HOST, "org.freedesktop.hostname1"),
    same(*HOST, "org.freedesktop.hostname1.SetPrettyHostname", "sb", "Boot", False),
    get(*TIME, "org.freedesktop.timedate1.Timezone"),
    ask(*TIME, "org.freedesktop.timedate1.ListTimezones"),
    same(*TIME, "org.freedesktop.timedate1.SetTimezone", "sb", "Europe/Oslo", False),
    everything(*SYNC, "org.freedesktop.timesync1.Manager"),
    get(*LOCALE, "org.freedesktop.locale1.Locale"),
    same(*LOCALE, "org.freedesktop.locale1.SetLocale", "asb", ["LANG=C.UTF-8"], False),
    ask(*RESOLVE, f"{RESOLVER}.ResolveHostname", "isit", 0, "localhost", 2, 0),
    same(*RESOLVE, f"{RESOLVER}.ResolveHostname", "isit", 0, "nowhere.example", 2, 0),
    ask(*RESOLVE, f"{RESOLVER}.FlushCaches"),
    everything(*RESOLVE, RESOLVER),
    ask(*POLKIT, f"{AUTHORITY}.EnumerateActions", "s", "en"),
    get(*POLKIT, f"{AUTHORITY}.BackendName"),
    ask(*AVAHI, "org.freedesktop.Avahi.Server.GetVersionString"),
    ask(*AVAHI, "org.freedesktop.Avahi.Server.GetState"),
    same(*AVAHI, "org.freedesktop.Avahi.Server.SetHostName", "s", "boot"),
    ask(*AVAHI, "org.freedesktop.Avahi.Server.EntryGroupNew"),
    everything(*NETWORK, "org.freedesktop.NetworkManager"),
    ask(*NETWORK, "org.freedesktop.NetworkManager.GetAllDevices"),
    ask(*NETWORK, "org.freedesktop.NetworkManager.GetPermissions"),
    ask(NETWORK[0], SETTINGS, "org.freedesktop.NetworkManager.Settings.ListConnections"),
    same(NETWORK[0], SETTINGS, "org.freedesktop.NetworkManager.Settings.SaveHostname", "s", "boot"),
    ask("org.freedesktop.nm_dispatcher", "/org/freedesktop/nm_dispatcher", INTROSPECT),
    ask("org.freedesktop.nm_priv_helper", "/org/freedesktop/nm_priv_helper", INTROSPECT),
    get(*MODEM, "org.freedesktop.ModemManager1.Version"),
    ask(*MODEM, OBJECTS),
    same(*MODEM, "org.freedesktop.ModemManager1.ScanDevices"),
    same(*MODEM, "org.freedesktop.ModemManager1.SetLogging", "s", "INFO"),
    ask(*BLUEZ, OBJECTS),
    get(*DISKS, "org.freedesktop.UDisks2.Manager.Version"),
    ask(DISKS[0], "/org/freedesktop/UDisks2", OBJECTS),
    ask(*DISKS, "org.freedesktop.UDisks2.Manager.GetBlockDevices", "a{sv}", {}),
    get(*POWER, "org.freedesktop.UPower.DaemonVersion"),
    ask(*POWER, "org.freedesktop.UPower.EnumerateDevices"),
    get(*ACCOUNTS, "org.freedesktop.Accounts.DaemonVersion"),
    ask(*ACCOUNTS, "org.freedesktop.Accounts.ListCachedUsers"),
    same(*ACCOUNTS, "org.freedesktop.Accounts.FindUserByName", "s", "anna"),
    same(*ACCOUNTS, "org.freedesktop.Accounts.CreateUser", "ssi", "carl", "Carl", 0),
    get(*COLOUR, "org.freedesktop.ColorManager.DaemonVersion"),
    ask(*COLOUR, "org.freedesktop.ColorManager.GetDevices"),
    ask(*COLOUR, "org.freedesktop.ColorManager.FindDeviceById", "s", "none"),
    get(*RTKIT, "org.freedesktop.RealtimeKit1.MaxRealtimePriority"),
    same(*RTKIT, "org.freedesktop.RealtimeKit1.MakeThreadHighPriority", "ti", 1, -5),
    get(*PACKAGES, "org.freedesktop.PackageKit.BackendName"),
    ask(*PACKAGES, "org.freedesktop.PackageKit.CreateTransaction"),
    ask(*PACKAGES, "org.freedesktop.PackageKit.GetTransactionList"),
    same(*FIREWALL, "org.fedoraproject.FirewallD1.getDefaultZone"),
    ask(*FIREWALL, "org.fedoraproject.FirewallD1.listServices"),
    same(*FIREWALL, "org.fedoraproject.FirewallD1.zone.addService", "ssi", "public", "http", 0),
    same(*FIREWALL, "org.fedoraproject.FirewallD1.zone.getServices", "s", "public"),
    ask("org.example.Nobody", "/", "org.example.Nobody.Hello"),
    own("ListActivatableNames"),
    own("GetNameOwner", "org.example.Nobody", signature="s"),
    own("GetConnectionUnixUser", "org.freedesktop.login1", signature="s"),
    own("StartServiceByName", "org.freedesktop.hostname1", 0, signature="su"),
    own("StartServiceByName", "org.example.Nobody", 0, signature="su"),
    own("RequestName", "org.example.Boot", 0, signature="su"),
    own("RequestName", "org.freedesktop.systemd1", 4, signature="su"),
    own("RequestName", "org.freedesktop.login1", 4, signature="su"),
    own("AddMatch", "type='method_call',eavesdrop='true'", signature="s"),
    own("Debug.Stats.GetConnectionStats", "org.freedesktop.DBus", signature="s"),
    own("UpdateActivationEnvironment", {"BOOT": "yes"}, signature="a{ss}"),
)

# What would end the machine's life if it were allowed.
REFUSED = (
    ask(*SYSTEMD, f"{MANAGER}.Reboot"),
    ask(*SYSTEMD, f"{MANAGER}.Exit"),
    ask(*SYSTEMD, f"{MANAGER}.StopUnit", "ss", "polkit.service", "replace"),
    ask(*SYSTEMD, f"{MANAGER}.SetEnvironment", "as", ["BOOT=yes"]),
    ask(*SYSTEMD, f"{MANAGER}.StartTransientUnit", "ssa(sv)a(sa(sv))", "x.service", "fail", [], []),
    ask(*LOGIN, f"{SEATS}.PowerOff", "b", False),
    ask(*LOGIN, f"{SEATS}.TerminateUser", "u", 0),
    ask(*PACKAGES, "org.freedesktop.PackageKit.SuggestDaemonQuit"),
    own("ReloadConfig"),
    own("Monitoring.BecomeMonitor", [], 0, signature="asu"),
)

# Of a user who has logged in: the bus of the session.
USER = (
    Question(*SYSTEMD, f"{MANAGER}.ListUnits", bus=SESSION),
    Question(*SYSTEMD, f"{MANAGER}.GetUnit", "s", ("basic.target",), SESSION, True),
    Question(*SYSTEMD, f"{MANAGER}.NoSuchMethod", bus=SESSION),
    own("ListActivatableNames", bus=SESSION),
    own("StartServiceByName", "ca.desrt.dconf", 0, signature="su", bus=SESSION),
    own("StartServiceByName", "org.example.Nobody", 0, signature="su", bus=SESSION),
    Question("ca.desrt.dconf", "/ca/desrt/dconf", INTROSPECT, bus=SESSION),
    own("RequestName", "org.example.Boot", 0, signature="su", bus=SESSION),
    own("UpdateActivationEnvironment", {"BOOT": "yes"}, signature="a{ss}", bus=SESSION),
    own("ReloadConfig", bus=SESSION),
)

QUESTIONS = {
    "root": ALL,
    "anna": (*ALL, *REFUSED, *USER),
    "ben": (*ALL, *REFUSED),
}

LATE = tuple(
    same(f"org.example.Late{kind}", "/org/example/Late", "org.example.Late.Who")
    for kind in ("Unit", "Exec", "NoUser", "Fails", "Missing")
)

# Programs, each with the user who runs it; what counts is how they end.
TOOLS = {
    "root": (
        "busctl list",
        "busctl tree org.freedesktop.login1",
        "busctl introspect org.freedesktop.systemd1 /org/freedesktop/systemd1",
        "busctl status org.freedesktop.login1",
        "systemctl reload dbus.service",
        "systemctl --user -M ben@ is-active dbus.service",
        "systemctl --user -M ben@ reload dbus.service",
        "systemctl start boot-example.service",
        "systemctl stop boot-example.service",
        "systemd-run --wait --collect true",
        "systemd-run --wait --collect false",
        "loginctl list-sessions",
        "hostnamectl status",
        "timedatectl show",
        "localectl status",
        "resolvectl query localhost",
        "nmcli general status",
        "nmcli connection add type dummy ifname boot0 con-name boot0",
        "udisksctl status",
        "upower --enumerate",
        "pkcheck --action-id org.freedesktop.login1.reboot --process 1",
        "firewall-cmd --state",
        "firewall-cmd --reload",
        "dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId",
        "gdbus introspect --system --dest org.freedesktop.Accounts -o /org/freedesktop/Accounts",
        "gdbus wait --system --timeout 10 --activate org.freedesktop.locale1",
        "timeout 2 busctl monitor org.freedesktop.login1",
        "timeout 2 dbus-monitor --system --profile",
    ),
    "anna": (
        "busctl --user list",
        "busctl list",
        "busctl monitor",
        "systemctl --user is-system-running --wait",
        "systemctl --user list-units --failed",
        "systemctl is-active dbus.service",
        "systemctl stop polkit.service",
        "systemd-run --user --wait --collect true",
        "dbus-update-activation-environment --systemd BOOT=seen",
        "systemctl --user show-environment",
        "loginctl session-status",
        "loginctl enable-linger",
        "gdbus introspect --session --dest org.freedesktop.systemd1 -o /org/freedesktop/systemd1",
        "pkcheck --action-id org.freedesktop.login1.reboot --process 1",
        "hostnamectl hostname other",
        "nmcli general status",
        "timeout 2 dbus-monitor --session --profile",
    ),
}
