"""What a TOML file of the configuration may say: its keys, and what type each of them takes.

A file is one part, and the parts that stand under [[then]].
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from policy.configuration import Apparmor, Bus, SlowReceivers
from policy.files.toml_rules import AnyRule, ConnectTable, Somebody, Table, Text, as_table
from policy.limits import HIGHEST, NAMES
from policy.rule import Context

Mechanism = Literal["EXTERNAL", "DBUS_COOKIE_SHA1", "ANONYMOUS"]
Amount = Annotated[int, Field(ge=0, le=HIGHEST)]


def known_limit(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"there is no limit named {name}")
    return name


class IncludeTable(Table):
    """A file to read, or all of a directory: its path then ends in a slash."""

    path: Text
    ignore_missing: bool = False
    if_selinux_enabled: bool = False
    selinux_root_relative: bool = False

    @model_validator(mode="after")
    def agree(self) -> Self:
        if self.path.endswith("/") and len(self.model_fields_set) > 1:
            raise ValueError("a directory may be missing anyway, and takes no other conditions")
        return self


class SectionTable(Table):
    """`[[policy]]`: for whom, and the rules."""

    context: Annotated[Literal["default", "mandatory"] | None, Field(alias="for")] = None
    user: Somebody | None = None
    group: Somebody | None = None
    at_console: bool | None = None
    permissive: bool = False
    rules: list[AnyRule] = Field([])

    @model_validator(mode="after")
    def agree(self) -> Self:
        said = [self.context, self.user, self.group, self.at_console]
        if sum(each is not None for each in said) != 1:
            raise ValueError("for whom? exactly one of for, user, group and at_console")
        if self.whom()[0] in ("user", "group"):
            for rule in self.rules:
                if isinstance(rule, ConnectTable):
                    raise ValueError(
                        "rules about connecting stand where for is default or mandatory: "
                        "they say themselves who is meant"
                    )
        return self

    def whom(self) -> tuple[Context, str]:
        """The context, and the user or group."""
        if self.context is not None:
            return self.context, ""
        if self.user is not None:
            return "user", self.user
        if self.group is not None:
            return "group", self.group
        return "at_console", str(self.at_console).lower()


class RateTable(Table):
    """`connection_rate = { per_second = 5, burst = 20 }`"""

    per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    burst: Annotated[int, Field(gt=0, le=HIGHEST)]


class QuotaTable(Table):
    """`[[quota]]`: a user or the name of a service, and the limits that are others for them.

    Only what is counted for one connection can be, and how many connections a user may have.
    """

    user: Somebody | None = None
    name: Text | None = None
    max_connections_per_user: Amount | None = None
    max_outgoing_bytes: Amount | None = None
    max_outgoing_unix_fds: Amount | None = None
    max_outgoing_messages: Amount | None = None
    max_handles_per_connection: Amount | None = None
    max_grants_per_connection: Amount | None = None
    max_names_per_connection: Amount | None = None
    max_match_rules_per_connection: Amount | None = None
    max_replies_per_connection: Amount | None = None

    @model_validator(mode="after")
    def agree(self) -> Self:
        if (self.user is None) == (self.name is None):
            raise ValueError("whose? exactly one of user and name")
        if self.name is not None and self.max_connections_per_user is not None:
            raise ValueError("max_connections_per_user is for a user, not for the owner of a name")
        if not self.limits():
            raise ValueError("a quota sets one limit or more")
        return self

    def limits(self) -> tuple[tuple[str, int], ...]:
        """What it sets, in the order of the keys above."""
        names = [name for name in QuotaTable.model_fields if name in NAMES]
        return tuple(
            (name, getattr(self, name)) for name in names if getattr(self, name) is not None
        )


class PartTable(Table):
    """All that a part of a file may say."""

    type: Text | None = None
    user: Text | None = None
    listen: list[Text] = Field([])
    auth: list[Mechanism] = Field([])
    allow_anonymous: bool = False
    fork: bool = False
    keep_umask: bool = False
    syslog: bool = False
    pidfile: Text | None = None
    service_directories: list[Text] = Field([])
    service_helper: Text | None = None
    limits: dict[Annotated[str, AfterValidator(known_limit)], Amount] = Field({})
    include: list[Annotated[IncludeTable, BeforeValidator(as_table("path"))]] = Field([])
    policy: list[SectionTable] = Field([])
    selinux: dict[str, Text] = Field({})
    apparmor: Apparmor | None = None
    permissive: bool | None = None
    quota: list[QuotaTable] = Field([])
    connection_rate: RateTable | None = None
    slow_receivers: SlowReceivers | None = None
    metrics: Text | None = None
    native: Text | None = None


class FileTable(PartTable):
    """A whole file: the bus that it is for, if not for any, and its parts."""

    bus: Bus | None = None
    then: list[PartTable] = Field([])
