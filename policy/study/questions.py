"""Messages about which policies can be asked: drawn from their rules, and said in words."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from policy.clause import Clause
from policy.rule import MOST_FDS, Rule
from policy.study.inquiry import ERROR, INTERFACE, MEMBER, PATH, Inquiry, message

OVERHEARD: Final = "overheard signal"

# What a message can be to a rule, without its fields; the word for it, and one such.
KINDS: Final[dict[str, Inquiry]] = {
    "method call": message("method_call"),
    "call without interface": replace(message("method_call"), interface=None),
    "signal": message("signal"),
    "broadcast": message("broadcast"),
    "reply": message("method_return"),
    "error": message("error"),
    "unasked reply": message("method_return", requested=False),
    OVERHEARD: replace(message("signal"), eavesdropping=True),
}
NAMED: Final = frozenset({"method call", "signal", "broadcast"})
FIELDS: Final = ("path", "interface", "member", "error", "arguments")


def questions(clauses: Iterable[Clause]) -> dict[tuple[str, Inquiry], None]:
    """One message of each kind that no rule names, each that a rule names, and each that two
    of them name together; with as many file descriptors as one forbids, too."""
    rules = [each.rule for each in clauses]
    likes = [[], *([rule] for rule in rules), *pairs(rules)]
    drawn: dict[tuple[str, Inquiry], None] = {}
    receiving = any(rule.about == "receive" for rule in rules)
    for kind, plain in KINDS.items():
        if plain.eavesdropping and not receiving:
            continue  # it is nothing to a rule about sending
        for like in likes:
            inquiry = plain
            for rule in like:
                inquiry = inquiry.like(rule)
            drawn[kind, inquiry] = None
            for rule in like:
                if rule.max_fds < MOST_FDS:
                    drawn[kind, replace(inquiry, fds=rule.max_fds + 1)] = None
    return drawn


def pairs(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules of which one message can meet both, for other reasons."""
    unlike = list({tuple(getattr(rule, name) for name in FIELDS): rule for rule in rules}.values())
    return [
        [one, other]
        for place, one in enumerate(unlike)
        for other in unlike[:place]
        if differ_in_kind(one, other)
    ]


def differ_in_kind(one: Rule, other: Rule) -> bool:
    """Does each name something that the other does not, and neither contradicts the other?"""
    mine = {name for name in FIELDS if getattr(one, name)}
    its = {name for name in FIELDS if getattr(other, name)}
    if mine <= its or its <= mine:
        return False
    return all(getattr(one, name) == getattr(other, name) for name in mine & its)


def describe(asked: Iterable[tuple[str, Inquiry]]) -> list[str]:
    """The messages in words, those alike but for their kind as one."""
    kinds: dict[str, list[str]] = {}
    for kind, inquiry in asked:
        kinds.setdefault(particulars(inquiry), []).append(kind)
    texts = []
    for text, among in kinds.items():
        if not text:
            whole = set(among) >= set(KINDS) - {OVERHEARD}
            texts += ["everything else"] if whole else [f"any other {kind}" for kind in among]
        elif set(among) >= NAMED:
            texts += [text, *(joined(kind, text) for kind in among if kind not in NAMED)]
        else:
            texts += [joined(kind, text) for kind in among]
    return texts


def particulars(inquiry: Inquiry) -> str:
    """What a message has that is named."""
    interface = inquiry.interface if inquiry.interface not in (None, INTERFACE) else ""
    member = inquiry.member if inquiry.member not in (None, MEMBER) else ""
    words = [
        f"{interface}.{member}".strip(".") if interface or not member else f"member {member}",
        "" if inquiry.path in (None, PATH) else f"at {inquiry.path}",
        "" if inquiry.error in (None, ERROR) else f"{inquiry.error}",
        f"with {inquiry.fds} file descriptors" if inquiry.fds else "",
        *(f'with arg{number} "{text}"' for number, text in inquiry.texts),
    ]
    return " ".join(filter(None, words))


def joined(kind: str, text: str) -> str:
    return f"{kind}{',' if text.startswith('member ') else ''} {text}"
