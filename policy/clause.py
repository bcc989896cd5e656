"""A rule made ready to be asked, and the question it is asked: one message, as rules see it.

Whom a rule is about (its name) is looked at beforehand, by `Access` and `Standing`; a clause
answers only for the fields of the message.
"""

from policy.rule import MOST_FDS, NUMBERS, Rule

# What Clause.certainty says of a clause before the message's fields are known.
NEVER, PERHAPS, ALWAYS = 0, 1, 2

# A message's slot: its kind (D-Bus Specification, "Message Format"), or BROADCAST for a signal
# without a destination.
SIGNAL, BROADCAST = 4, 5
REPLIES = (2, 3)
ANY = "*"  # where an interface is asked for


class Question:
    """One message on its way to one receiver.

    `kind` is 1 to 4 (D-Bus Specification, "Message Format"). `broadcast`: a signal without a
    destination. `reply`: it says that it answers something (REPLY_SERIAL), `requested`: and
    the receiver waits for that. `eavesdropping`: the receiver is not whom it is addressed to.
    `texts` are its first arguments as (type, text), None for what is no text; only as many as
    the rules of the bus name.
    """

    def __init__(self) -> None:
        self.kind = 0
        self.path: str | None = None
        self.interface: str | None = None
        self.member: str | None = None
        self.error: str | None = None
        self.broadcast = False
        self.reply = False
        self.requested = False
        self.eavesdropping = False
        self.fds = 0
        self.texts: list[tuple[str, str] | None] | None = None


class Clause:
    """A send or receive rule. `mark` is what Standing.held has if the rule's name is held:
    the name, or the prefix with a dot; None: any name. `fields`: it names fields of the message;
    `beyond`: others than the interface. `plain`: no fields that are texts, no type, no name; the
    reference forgets what stands before a plain rule, though it may not match every message
    (bus/policy.c, bus_client_policy_optimize). `silent`: nobody is told that it decided."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.send = rule.about == "send"
        self.allow = rule.allow
        self.mark = mark(rule)
        self.kind = NUMBERS[rule.type]
        self.path = rule.path
        self.interface = rule.interface
        self.member = rule.member
        self.error = rule.error
        self.broadcast = -1 if rule.broadcast is None else int(rule.broadcast)
        self.requested = rule.allow if rule.requested_reply is None else rule.requested_reply
        self.eavesdrop = rule.eavesdrop
        self.min_fds = rule.min_fds
        self.max_fds = rule.max_fds
        self.arguments = rule.arguments
        texts = (rule.path, rule.member, rule.error)
        named = bool(rule.arguments) or any(text is not None for text in texts)
        # A file may say "", which is a name that nobody has.
        anybody = rule.name is None and rule.interface is None
        self.plain = anybody and rule.type is None and not named
        counted = rule.min_fds > 0 or rule.max_fds < MOST_FDS
        located = rule.path is not None or rule.error is not None
        self.further = located or counted or bool(rule.arguments)
        self.beyond = self.further or rule.member is not None
        self.fields = self.beyond or rule.interface is not None
        self.silent = not ((rule.log and self.send) if rule.allow else rule.permissive)

    def certainty(self, slot: int, interface: str | None, member: str | None) -> int:
        """Does it match ordinary messages of this slot, interface and member (ANY: whatever it
        is): NEVER, ALWAYS, or does that depend on other fields (PERHAPS)? Ordinary: it is a
        requested reply or none, and overheard by nobody."""
        if self.kind not in (0, SIGNAL if slot == BROADCAST else slot):
            return NEVER
        if self.broadcast >= 0 and self.broadcast != (slot == BROADCAST):
            return NEVER
        if not self.allow and self.eavesdrop and not self.send:
            return NEVER
        if slot in REPLIES and not self.allow and not self.requested:
            return NEVER
        if interface == ANY:
            return PERHAPS if self.fields else ALWAYS
        if self.interface not in (None, interface) and (self.allow or interface is not None):
            return NEVER
        if member == ANY:
            return PERHAPS if self.beyond else ALWAYS
        if differs(self.member, member):
            return NEVER
        return PERHAPS if self.further else ALWAYS

    def matches(self, question: Question) -> bool:
        """Does it match this message?"""
        if self.kind and self.kind != question.kind:
            return False
        if not (self.in_sight(question) and self.in_turn(question)):
            return False
        if self.broadcast >= 0 and self.broadcast != question.broadcast:
            return False
        if not self.fields:
            return True
        return self.fits(question)

    def in_sight(self, question: Question) -> bool:
        """For allow, eavesdrop="true" is needed to overhear. For deny, it says that only those
        who overhear are meant. It means this for receive rules alone."""
        if self.send:
            return True
        if question.eavesdropping:
            return self.eavesdrop or not self.allow
        return self.allow or not self.eavesdrop

    def in_turn(self, question: Question) -> bool:
        """For allow, requested_reply="true" is only for replies that somebody waits for. For
        deny, "false" is only for those that nobody waits for."""
        if not question.reply:
            return True
        if question.requested:
            return self.allow or self.requested
        return not self.allow or not self.requested or self.eavesdrop

    def fits(self, question: Question) -> bool:
        """Are the fields of the message those that it names? What a message lacks is no
        obstacle, but for the interface: there allow does not match, and deny does, so that
        nobody slips by for leaving it out (CVE-2008-0595)."""
        if self.interface is not None and self.interface != question.interface:  # noqa: SIM102
            if self.allow or question.interface is not None:
                return False
        if differs(self.member, question.member) or differs(self.path, question.path):
            return False
        if differs(self.error, question.error):
            return False
        if not self.min_fds <= question.fds <= self.max_fds:
            return False
        return not self.arguments or self.says(question)

    def says(self, question: Question) -> bool:
        """Are the arguments those that it names? An argument that is not there is not."""
        texts = question.texts or []
        for argument in self.arguments:
            found = texts[argument.number] if argument.number < len(texts) else None
            if found is None:
                return False
            text = found[1]
            if not (text.startswith(argument.value) if argument.prefix else text == argument.value):
                return False
        return True


def differs(wanted: str | None, found: str | None) -> bool:
    """Are both there, and not the same?"""
    return wanted is not None and found is not None and wanted != found


def mark(rule: Rule) -> str | None:
    """How Standing.held says that a rule's name is held."""
    if rule.name is None:
        return None
    return rule.name + "." if rule.prefix else rule.name
