"""Random messages: valid ones, and what an enemy makes of them."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.wire import model

BASIC = "ybnqiuxtdsogh"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
PATHS = st.sampled_from(["/", "/a", "/org/example/Object_1"])
SIGNATURES = st.sampled_from(["", "s", "a{sv}", "(ii)as"])
NAMES = st.sampled_from([":1.42", ":1.042", "org.example.Name", ":1.9223372036854775808"])
RANGES = {"y": (0, 255), "b": (0, 1), "n": (-(1 << 15), (1 << 15) - 1), "q": (0, (1 << 16) - 1)} | {
    "i": (-(1 << 31), (1 << 31) - 1), "u": (0, (1 << 32) - 1), "h": (0, (1 << 32) - 1),
    "x": (-(1 << 63), (1 << 63) - 1), "t": (0, (1 << 64) - 1),
}  # fmt: skip

types = st.recursive(
    st.sampled_from(BASIC + "v"),
    lambda inner: st.one_of(
        inner.map(lambda kind: "a" + kind),
        st.lists(inner, min_size=1, max_size=3).map(lambda kinds: f"({''.join(kinds)})"),
        st.tuples(st.sampled_from(BASIC), inner).map(lambda kinds: f"a{{{kinds[0]}{kinds[1]}}}"),
    ),
    max_leaves=6,
).filter(lambda kind: len(kind) < 60)


def values(kind: str, depth: int = 0) -> st.SearchStrategy[Any]:
    code = kind[0]
    if code in RANGES:
        return st.integers(*RANGES[code])
    if code == "d":
        return st.floats(allow_nan=False)
    if code in "sog":
        return {"s": TEXTS, "o": PATHS, "g": SIGNATURES}[code]
    if code == "a" and kind[1] == "{":
        key, value = model.split(kind[2:-1])
        return st.dictionaries(values(key), values(value, depth + 1), max_size=3)
    if kind == "ay":
        return st.binary(max_size=9)
    if code == "a":
        return st.lists(values(kind[1:], depth + 1), max_size=3)
    if code == "(":
        return st.tuples(*(values(member, depth + 1) for member in model.split(kind[1:-1])))
    inner = types if depth < 3 else st.sampled_from(BASIC)
    return inner.flatmap(lambda kind: st.tuples(st.just(kind), values(kind, depth + 1)))


bodies: st.SearchStrategy[tuple[str, tuple[Any, ...]]] = st.lists(types, max_size=4).flatmap(
    lambda kinds: st.tuples(st.just("".join(kinds)), st.tuples(*(values(kind) for kind in kinds)))
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Valid messages of every kind, fields in any order, some unknown, some with SENDER."""
    little = draw(st.booleans())
    signature, body = draw(bodies)
    kind = draw(st.sampled_from([1, 2, 3, 4, 5, 255]))
    known: dict[int, Any] = {
        1: draw(PATHS), 2: "org.example.Interface", 3: "Member", 4: "org.example.Error",
        5: draw(st.integers(1, (1 << 32) - 1)), 6: draw(NAMES), 7: draw(NAMES),
    }  # fmt: skip
    wanted = draw(st.sets(st.sampled_from(sorted(known)))) | model.REQUIRED.get(kind, set())
    fields = [(code, (model.FIELD_TYPES[code], known[code])) for code in wanted]
    if signature or draw(st.booleans()):
        fields.append((8, ("g", signature)))
    for code in draw(st.lists(st.integers(11, 255), max_size=2)):
        strange = draw(types)
        fields.append((code, (strange, draw(values(strange)))))
    head = (kind, draw(st.integers(0, 255)), draw(st.integers(1, (1 << 32) - 1)))
    packed = model.pack(signature, body, little=little)
    return model.message(head, draw(st.permutations(fields)), packed, little=little)


def mutated(message: bytes, chance: Random) -> bytes:
    """The message with a few bytes changed, rather to ones that mean something."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        telling = b"\0\x01\x02\x04\x08\x40\x80\xc0\xed\xf4\xff()a{}v:./-"
        data[place] = chance.choice([chance.choice(telling), chance.randrange(256)])
    return bytes(data)
