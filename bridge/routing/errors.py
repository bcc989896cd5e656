"""What the bus refuses, and under which D-Bus error name. Knows no bytes and no sockets.

One exception family: whoever decides raises `Refused`; the driver and the router, which
have somebody to answer, turn it into an error message at one place each.
"""

from typing import Final, final

PREFIX: Final = "org.freedesktop.DBus.Error."
SPAWN: Final = PREFIX + "Spawn."  # a service could not be started

ACCESS_DENIED: Final = PREFIX + "AccessDenied"
AUDIT_UNKNOWN: Final = PREFIX + "AdtAuditDataUnknown"
FAILED: Final = PREFIX + "Failed"
INCONSISTENT_MESSAGE: Final = PREFIX + "InconsistentMessage"
INVALID_ARGS: Final = PREFIX + "InvalidArgs"
LIMITS_EXCEEDED: Final = PREFIX + "LimitsExceeded"
MATCH_RULE_INVALID: Final = PREFIX + "MatchRuleInvalid"
MATCH_RULE_NOT_FOUND: Final = PREFIX + "MatchRuleNotFound"
NAME_HAS_NO_OWNER: Final = PREFIX + "NameHasNoOwner"
NO_REPLY: Final = PREFIX + "NoReply"
NOT_SUPPORTED: Final = PREFIX + "NotSupported"
PROPERTY_READ_ONLY: Final = PREFIX + "PropertyReadOnly"
SECURITY_CONTEXT_UNKNOWN: Final = PREFIX + "SELinuxSecurityContextUnknown"
SERVICE_UNKNOWN: Final = PREFIX + "ServiceUnknown"
UNIX_PROCESS_ID_UNKNOWN: Final = PREFIX + "UnixProcessIdUnknown"
UNKNOWN_INTERFACE: Final = PREFIX + "UnknownInterface"
UNKNOWN_METHOD: Final = PREFIX + "UnknownMethod"
UNKNOWN_PROPERTY: Final = PREFIX + "UnknownProperty"


@final
class Refused(Exception):
    """A request that is answered with an error: its D-Bus `name` and its `text` for people."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


@final
class Disconnect(Exception):
    """The client broke a rule after which it cannot stay; the text goes to the log."""
