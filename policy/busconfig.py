"""busconfig XML, as far as this release goes: files that allow everything to all who connect.

That is what test harnesses write (GTestDBus, python-dbusmock) and what the reference's
session.conf says before it includes others. What would have this bus behave otherwise than the
file says is refused with its place: a rule that is not understood would open the bus.

Accepted without effect in this release are
* the elements servicedir, standard_session_servicedirs, standard_system_servicedirs (no services
  are started; the bus logs that when it starts) and keep_umask (the umask is never changed);
* the limits max_incoming_bytes, max_incoming_unix_fds, service_start_timeout and
  max_pending_service_starts.
"""

from collections.abc import Callable
from typing import Final, final
from xml.parsers import expat

from policy.configuration import Configuration
from policy.limits import limits

# Rules of which all three together allow everything (dbus-daemon(1), "allow").
SEND: Final = {"send_destination": "*", "eavesdrop": "true"}
RECEIVE: Final = {"eavesdrop": "true"}
OWN: Final = {"own": "*"}
CONNECT: Final = {"user": "*"}  # without it only the bus's own user may connect


@final
class ConfigError(ValueError):
    """A file that cannot be used; the text begins with its name and line."""


@final
class Reader:
    """One file on its way to a Configuration, element by element."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data
        self.parser.EntityDeclHandler = self.entity
        self.open: list[str] = []
        self.attributes: dict[str, str] = {}
        self.text = ""
        self.type = ""
        self.listen: list[str] = []
        self.auth: list[str] = []
        self.rules: list[dict[str, str]] = []
        self.settings: dict[str, object] = {}
        self.service_directories = False

    def read(self, content: bytes) -> Configuration:
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            raise self.wrong(expat.ErrorString(error.code)) from None
        for rule, right in ((SEND, "to send"), (RECEIVE, "to receive"), (OWN, "to own names")):
            if rule not in self.rules:
                raise self.wrong(f"nobody is allowed {right}; {ONLY}")
        if not self.listen:
            raise self.wrong("no <listen> element")
        return Configuration(
            type=self.type,
            listen=tuple(self.listen),
            auth=tuple(self.auth) or ("EXTERNAL",),
            connect="anyone" if CONNECT in self.rules else "bus-user",
            limits=limits(self.settings),
            service_directories=self.service_directories,
        )

    def wrong(self, what: str) -> ConfigError:
        return ConfigError(f"{self.path}:{self.parser.CurrentLineNumber}: {what}")

    # -------------------------------------------------------------- expat's handlers

    def start(self, name: str, attributes: dict[str, str]) -> None:
        inside = "/".join([*self.open, name])
        if inside not in ELEMENTS:
            raise self.wrong(f"<{name}> here is not understood by this release")
        takes = ATTRIBUTES.get(inside, set())
        if set(attributes) != takes and name != "allow":
            raise self.wrong(f"<{name}> takes {' and '.join(takes) or 'no'} attributes")
        if inside == "busconfig/policy" and attributes != {"context": "default"}:
            raise self.wrong(f"a policy for others than everybody; {ONLY}")
        self.open.append(name)
        self.attributes = attributes
        self.text = ""

    def end(self, name: str) -> None:
        take = ELEMENTS["/".join(self.open)]
        self.open.pop()
        if take is not None:
            take(self, self.text.strip())
        self.text = ""

    def data(self, text: str) -> None:
        self.text += text

    def entity(self, name: str, *_: object) -> None:
        raise self.wrong(f"the entity {name!r}: this release takes no declarations of entities")

    # ---------------------------------------------------------------- what is taken

    def take_type(self, text: str) -> None:
        self.type = text

    def take_listen(self, text: str) -> None:
        self.listen.append(text)

    def take_auth(self, text: str) -> None:
        if text != "EXTERNAL":
            raise self.wrong(f"authentication by {text!r} is not there; EXTERNAL is")
        self.auth.append(text)

    def take_servicedir(self, _: str) -> None:
        self.service_directories = True

    def take_limit(self, text: str) -> None:
        name = self.attributes["name"]
        if name == "reply_timeout":
            raise self.wrong("limit reply_timeout: in this release a reply may take any time")
        try:
            self.settings[name] = int(text)
            limits(self.settings)
        except ValueError as error:
            raise self.wrong(str(error)) from None

    def take_rule(self, _: str) -> None:
        if self.attributes not in (SEND, RECEIVE, OWN, CONNECT):
            words = " ".join(f'{key}="{value}"' for key, value in self.attributes.items())
            raise self.wrong(f"<allow {words}/>; {ONLY}")
        self.rules.append(self.attributes)


ONLY: Final = "this release takes only policies that allow everything"

# Element, with those around it -> what takes its text.
ELEMENTS: Final[dict[str, Callable[[Reader, str], None] | None]] = {
    "busconfig": None,
    "busconfig/type": Reader.take_type,
    "busconfig/listen": Reader.take_listen,
    "busconfig/auth": Reader.take_auth,
    "busconfig/limit": Reader.take_limit,
    "busconfig/keep_umask": None,
    "busconfig/servicedir": Reader.take_servicedir,
    "busconfig/standard_session_servicedirs": Reader.take_servicedir,
    "busconfig/standard_system_servicedirs": Reader.take_servicedir,
    "busconfig/policy": None,
    "busconfig/policy/allow": Reader.take_rule,
}
# Elements that take attributes; a rule's are looked at when it is taken.
ATTRIBUTES: Final = {
    "busconfig/limit": {"name"},
    "busconfig/policy": {"context"},
}


def load(path: str) -> Configuration:
    """Read a file. Raises ConfigError, OSError."""
    with open(path, "rb") as file:
        return Reader(path).read(file.read())
