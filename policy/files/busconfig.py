"""Reads busconfig XML, as dbus-daemon 1.14 means it, into one file's draft.

Unknown elements and attributes refuse the file: a rule without the attribute that narrows it
would mean more than was meant. Document types are not looked at, and nothing outside the file is
read for them; entities that the file declares itself are good, as long as they do not make it
longer than a file may be. Where this differs from dbus-daemon:

* files of a directory are read in the order of their names, there in no order;
* files can include each other only so deep, and be only so many (policy/files/draft.py);
* with its entities a file may have 1 MiB, there it may grow to 8 MiB and more;
* what stands in an included file about syslog counts, there it is forgotten.
"""

from dataclasses import replace
from typing import Final, final
from xml.parsers import expat

from policy.configuration import ConfigError
from policy.files.draft import LONGEST, Draft
from policy.files.elements import ELEMENTS, POLICY, RULES, Found, whom
from policy.files.rule_attributes import rule
from policy.people import find_group, find_user
from policy.rule import ANYBODY, Rule, Section

BLANKS: Final = " \t\r\n"
BOUNDED: Final = (2, 4)  # since this version expat itself stops entities that grow without end


def read(draft: Draft, content: bytes) -> None:
    """Read a file's content into its draft. Raises ConfigError."""
    Reader(draft).read(content)


@final
class Reader:
    """One file on its way into its draft, element by element."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data
        if expat.version_info < BOUNDED:
            self.parser.EntityDeclHandler = self.entity
        self.open: list[Found] = []
        self.text: list[str] = []  # of the innermost element
        self.length = 0  # of all names, attributes and texts until now
        self.section: Section | None = None
        self.rules: list[Rule] = []

    def read(self, content: bytes) -> None:
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            place = self.draft.origin(error.lineno)
            raise ConfigError(f"{place}: {expat.ErrorString(error.code)}") from None
        finally:
            # It holds this reader, too, and so all that was read, until garbage is collected: in a
            # bus that is after many reloads.
            del self.parser

    def wrong(self, what: str) -> ConfigError:
        return ConfigError(f"{self.draft.origin(self.parser.CurrentLineNumber)}: {what}")

    # -------------------------------------------------------------- expat's handlers

    def start(self, name: str, attributes: dict[str, str]) -> None:
        inside = self.open[-1].name if self.open else ""
        element = ELEMENTS.get(name)
        if element is None or element.inside != inside:
            raise self.wrong(f"<{name}> cannot stand {f'in <{inside}>' if inside else 'here'}")
        self.count(name)
        for attribute, text in attributes.items():
            if attribute not in element.attributes:
                raise self.wrong(f"<{name}> has no attribute {attribute}")
            self.count(attribute + text)
        context = str(self.section) if self.section else ""
        origin = self.draft.origin(self.parser.CurrentLineNumber, context)
        self.open.append(Found(name, origin, attributes))
        if name == POLICY:
            self.begin_policy(self.open[-1])
        self.text.clear()

    def data(self, text: str) -> None:
        self.count(text)
        name = self.open[-1].name
        if ELEMENTS[name].text:
            self.text.append(text)
        elif text.strip(BLANKS):
            raise self.wrong(f"no text can stand in <{name}>")

    def end(self, name: str) -> None:
        found = self.open.pop()
        element = ELEMENTS[name]
        if element.text:
            found = replace(found, text="".join(self.text))
        self.text.clear()
        try:
            if element.text and not found.text:
                raise ValueError(f"<{name}> is empty")
            if name in RULES:
                self.take_rule(found)
            elif name == POLICY:
                self.end_policy()
            elif element.take is not None:
                element.take(self.draft, found)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{found.origin}: {error}") from None

    def entity(self, name: str, *_: object) -> None:
        raise self.wrong(f"entity {name}: this system's expat is too old to take declarations")

    def count(self, text: str) -> None:
        """Entities may not make more of a file than a file may be."""
        self.length += len(text)
        if self.length > LONGEST:
            raise self.wrong(f"more than {LONGEST} characters, entities replaced")

    # -------------------------------------------------------------- policies

    def begin_policy(self, found: Found) -> None:
        try:
            section = Section(*whom(found))
        except ValueError as error:
            raise self.wrong(str(error)) from None
        origin = replace(found.origin, context=str(section))
        self.section = replace(section, origin=origin)

    def take_rule(self, found: Found) -> None:
        taken = rule(RULES[found.name], found.attributes, found.origin)
        if self.section and taken.about == "connect" and is_misplaced(self.section, taken):
            raise ValueError("who may connect is said in policies by context, for the whole bus")
        self.rules.append(taken)

    def end_policy(self) -> None:
        if self.section is not None:
            self.draft.policy.append(replace(self.section, rules=tuple(self.rules)))
        self.section = None
        self.rules.clear()


def is_misplaced(section: Section, rule: Rule) -> bool:
    """Would the reference refuse this rule about connecting here? It drops what means nobody
    on this machine before it sees that, so this asks as well."""
    find = {"user": find_user, "group": find_group}.get(section.context)
    if find is None or find(section.who) is None:
        return False
    if rule.user is not None:
        return rule.user == ANYBODY or find_user(rule.user) is not None
    return rule.group == ANYBODY or find_group(rule.group or "") is not None
