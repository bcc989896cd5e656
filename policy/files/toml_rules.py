"""The rules of a TOML file: which keys each kind of rule takes, and how they go together.

What the reference's parser refuses because it could not mean anything, or not what it seems to,
is refused here as well (dbus-daemon(1), "allow").
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from policy.rule import MOST_FDS, About, Argument, Origin, Rule

ANY: Final = "*"
KINDS: Final = ("send", "receive", "own", "connect", "delegate")
MOST_ARGUMENTS: Final = 64  # D-Bus Specification, "Match Rules": arg0 to arg63

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
TypeOrAny = Literal["method_call", "method_return", "error", "signal", "*"]
Fds = Annotated[int, Field(ge=0, le=MOST_FDS)]


class Table(BaseModel):
    """A table of the file: no types but those asked for, no keys but those known."""

    # Only what is read is made ready for it, once, and not each table by itself before.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


def number_or_name(value: object) -> object:
    """A user or group may be written as its number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Somebody = Annotated[Text, BeforeValidator(number_or_name)]


def as_table(key: str) -> Callable[[object], object]:
    """What may be written as a text instead of a table that has only this key."""
    return lambda value: {key: value} if isinstance(value, str) else value


class Wanted(Table):
    """What an argument must be: a text, or `{ prefix = "..." }`."""

    value: str | None = None
    prefix: Text | None = None

    @model_validator(mode="after")
    def one(self) -> Self:
        if (self.value is None) == (self.prefix is None):
            raise ValueError("an argument has exactly one of value and prefix")
        return self


class RuleTable(Table):
    """What all rules have: one of `allow` and `deny`, and its kind."""

    about: ClassVar[About]
    allow: str | None = None
    deny: str | None = None
    permissive: bool = False

    @model_validator(mode="after")
    def denies(self) -> Self:
        if self.permissive and self.deny is None:
            raise ValueError("permissive is for deny: what is allowed is let through anyway")
        return self

    def rule(self, origin: Origin, permissive: bool) -> Rule:
        """The rule that this means. `permissive`: all denials of its section are."""
        said = {name: value for name, value in self.fields().items() if value is not None}
        return Rule(
            allow=self.allow is not None,
            about=self.about,
            permissive=self.deny is not None and (permissive or self.permissive),
            origin=origin,
            **said,
        )

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """What else it says, by the names of Rule."""


class MessageTable(RuleTable):
    """What rules about messages have, be they sent or received."""

    type: TypeOrAny | None = None
    path: Text | None = None
    interface: Text | None = None
    member: Text | None = None
    error: Text | None = None
    requested_reply: bool | None = None
    eavesdrop: bool | None = None
    min_fds: Fds | None = None
    max_fds: Fds | None = None
    args: dict[str, Annotated[Wanted, BeforeValidator(as_table("value"))]] = Field({})

    @model_validator(mode="after")
    def agree(self) -> Self:
        if not self.model_fields_set - {"allow", "deny", "permissive", "log", "min_fds", "max_fds"}:
            raise ValueError(f'which messages? ({NAMES[self.about]} = "*" means all)')
        if self.member is not None and self.interface is None and self.path is None:
            raise ValueError("member needs interface or path: not all messages have an interface")
        if self.error is not None and (self.member or self.interface) is not None:
            raise ValueError("error does not go with member or interface: errors have neither")
        for number in self.args:
            if number not in ARGUMENTS:
                raise ValueError(f'args: "{number}" is not a number from 0 to {MOST_ARGUMENTS - 1}')
        return self

    def fields(self) -> dict[str, Any]:
        arguments = tuple(
            Argument(int(number), wanted.prefix or wanted.value or "", wanted.prefix is not None)
            for number, wanted in sorted(self.args.items(), key=lambda item: int(item[0]))
        )
        return {name: some(getattr(self, name)) for name in ALIKE} | {"arguments": arguments}


ALIKE: Final = (
    "type",
    "path",
    "interface",
    "member",
    "error",
    "requested_reply",
    "eavesdrop",
    "min_fds",
    "max_fds",
)
ARGUMENTS: Final = frozenset(str(number) for number in range(MOST_ARGUMENTS))
NAMES: Final[dict[About, str]] = {"send": "to", "receive": "from"}


class SendTable(MessageTable):
    """`{ allow = "send", to = "org.example.Name", ... }`"""

    about = "send"
    to: Text | None = None
    to_prefix: Text | None = None
    broadcast: bool | None = None
    log: bool = False

    @model_validator(mode="after")
    def agree_to_send(self) -> Self:
        one_name(self.to, self.to_prefix, "to")
        if self.broadcast and self.to not in (None, ANY):
            raise ValueError("broadcast = true does not go with to: a broadcast has no destination")
        if self.log and self.allow is None:
            raise ValueError("log is for allow: what is denied is logged anyway")
        return self

    def fields(self) -> dict[str, Any]:
        own = {"name": self.to_prefix or some(self.to), "prefix": self.to_prefix is not None}
        return super().fields() | own | {"broadcast": self.broadcast, "log": self.log}


class ReceiveTable(MessageTable):
    """`{ allow = "receive", from = "org.example.Name", ... }`"""

    about = "receive"
    sender: Annotated[Text | None, Field(alias="from")] = None
    sender_prefix: Annotated[Text | None, Field(alias="from_prefix")] = None

    @model_validator(mode="after")
    def agree_to_receive(self) -> Self:
        one_name(self.sender, self.sender_prefix, "from")
        return self

    def fields(self) -> dict[str, Any]:
        name = self.sender_prefix or some(self.sender)
        return super().fields() | {"name": name, "prefix": self.sender_prefix is not None}


class NameTable(RuleTable):
    """What rules have that are about the owner of a name."""

    name: Text | None = None
    name_prefix: Text | None = None

    @model_validator(mode="after")
    def agree_to_name(self) -> Self:
        one_name(self.name, self.name_prefix, "name")
        if self.name is None and self.name_prefix is None:
            raise ValueError('which name? (name = "*" means all)')
        return self

    def fields(self) -> dict[str, Any]:
        return {"name": self.name_prefix or some(self.name), "prefix": self.name_prefix is not None}


class OwnTable(NameTable):
    """`{ allow = "own", name = "org.example.Name" }`"""

    about = "own"


class DelegateTable(NameTable):
    """`{ allow = "delegate", name = "org.example.Name", ... }`"""

    about = "delegate"
    path: Text | None = None
    interface: Text | None = None
    member: Text | None = None

    @model_validator(mode="after")
    def agree_to_delegate(self) -> Self:
        if self.member is not None and self.interface is None:
            raise ValueError("member needs interface: a grant of a member names both")
        return self

    def fields(self) -> dict[str, Any]:
        fields = {name: some(getattr(self, name)) for name in ("path", "interface", "member")}
        return super().fields() | fields


class ConnectTable(RuleTable):
    """`{ allow = "connect", user = "somebody" }`"""

    about = "connect"
    user: Somebody | None = None
    group: Somebody | None = None

    @model_validator(mode="after")
    def agree_to_connect(self) -> Self:
        if (self.user is None) == (self.group is None):
            raise ValueError('who? exactly one of user and group (user = "*" means everybody)')
        return self

    def fields(self) -> dict[str, Any]:
        return {"user": self.user, "group": self.group}


def kind(table: object) -> str | None:
    """What a rule is about, if it says so as it should."""
    if not isinstance(table, dict) or ("allow" in table) == ("deny" in table):
        return None
    about = table.get("allow", table.get("deny"))
    return about if about in KINDS else None


AnyRule = Annotated[
    Annotated[SendTable, Tag("send")]
    | Annotated[ReceiveTable, Tag("receive")]
    | Annotated[OwnTable, Tag("own")]
    | Annotated[ConnectTable, Tag("connect")]
    | Annotated[DelegateTable, Tag("delegate")],
    Discriminator(
        kind,
        custom_error_type="kind",
        custom_error_message="a rule has exactly one of allow and deny, and says there what: "
        '"send", "receive", "own", "connect" or "delegate"',
    ),
]


def some(value: Any) -> Any:
    """What is asked for; None is anything."""
    return None if value == ANY else value


def one_name(name: str | None, prefix: str | None, key: str) -> None:
    """A name and a prefix do not go together."""
    if name is not None and prefix is not None:
        raise ValueError(f"{key} and {key}_prefix do not go together")
