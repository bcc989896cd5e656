"""The checker finds what it is there for: each law, broken on purpose in a story that is sound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.native.processes.checker import Done, Got, Process, Start, line, read, violations

Story = dict[str, Process]


def got(id: str, place: int, *to: str, after: str = "") -> Got:
    return Got(id, to, after, (place, 1))


def sound() -> Story:
    """a tells both, twice; b knows by a pipe of a's first, and tells c and d; d is killed then."""
    a = [Start("a:1", ("b", "c"), "", 1.0), Done("a:1", False, 2, 2.0)]
    a += [Start("a:2", ("b", "c", "d"), "", 5.0), Done("a:2", False, 6, 6.0)]
    a += [Start("a:3", ("c", "d"), "", 9.0), Done("a:3", True, 0, 9.5)]
    b = [got("a:1", 2, "b", "c"), Start("b:1", ("c", "d"), "a:1", 3.0), Done("b:1", False, 4, 4.0)]
    b += [got("a:2", 6, "b", "c", "d")]
    c = [
        got("a:1", 2, "b", "c"),
        got("b:1", 4, "c", "d", after="a:1"),
        got("a:2", 6, "b", "c", "d"),
    ]
    d = [got("b:1", 4, "c", "d", after="a:1")]
    events = {"a": a, "b": b, "c": c, "d": d}
    return {name: Process(name, list(each), name == "d") for name, each in events.items()}


def swapped(story: Story) -> None:
    """c gets the second before the first, by their places."""
    events = story["c"].events
    events[1], events[2] = events[2], events[1]


def elsewhere(story: Story) -> None:
    """To c the second of a has another place than to b."""
    story["c"].events[2] = got("a:2", 8, "b", "c", "d")


def same_place(story: Story) -> None:
    story["c"].events[1] = got("b:1", 2, "c", "d")
    story["d"].events[0] = got("b:1", 2, "c", "d")


def another_stamp(story: Story) -> None:
    """The sender was told another stamp than the receivers."""
    story["a"].events[1] = Done("a:1", False, 3, 2.0)


def twice(story: Story) -> None:
    story["c"].events.append(got("a:2", 6, "b", "c", "d"))


def missed(story: Story) -> None:
    del story["b"].events[3]


def missed_by_the_killed(story: Story) -> None:
    """d has something later, so what was before that it must have had."""
    story["d"].events = [got("a:2", 6, "b", "c", "d")]


def done_for_nobody(story: Story) -> None:
    for name in "bcd":
        story[name].events = [e for e in story[name].events if e.id != "a:2"]


def refused_and_here(story: Story) -> None:
    story["c"].events.append(got("a:3", 8, "c", "d"))


def out_of_turn(story: Story) -> None:
    """The places are in order, but a sent them the other way round."""
    story["a"].events[0], story["a"].events[2] = story["a"].events[2], story["a"].events[0]
    for process in story.values():
        process.events = [
            e._replace(id={"a:1": "a:2", "a:2": "a:1"}.get(e.id, e.id)) for e in process.events
        ]


def before_what_it_got(story: Story) -> None:
    """b answered to what it has from a, and the answer is before that."""
    story["c"].events[:2] = [got("b:1", 1, "c", "d"), got("a:1", 2, "b", "c")]
    story["d"].events = [got("b:1", 1, "c", "d")]


def the_wrong_way(story: Story, after: str, time: float) -> None:
    """a and b have nothing to do with each other; c gets b's first."""
    story["a"].events = [Start("a:1", ("c",), "", 1.0), Done("a:1", False, 4, 2.0)]
    story["b"].events = [Start("b:1", ("c",), after, time)]
    story["c"].events = [got("b:1", 2, "c", after=after), got("a:1", 4, "c")]
    story["d"].events = []


def before_what_a_pipe_told(story: Story) -> None:
    """A pipe has told b of a's."""
    the_wrong_way(story, "a:1", 1.5)


def returned_before_it_started(story: Story) -> None:
    """Only the clock says so."""
    the_wrong_way(story, "", 3.0)


BROKEN: list[tuple[Callable[[Story], None], str]] = [
    (swapped, "total order: c got"),
    (elsewhere, "two places"),
    (same_place, "one place"),
    (another_stamp, "two stamps"),
    (twice, "something twice"),
    (missed, "atomicity: a:2 did not come to b"),
    (missed_by_the_killed, "atomicity: b:1 did not come to d"),
    (done_for_nobody, "atomicity: a:2 did not come to c"),
    (refused_and_here, "refused and came"),
    (out_of_turn, "FIFO"),
    (before_what_it_got, "before what its sender had got"),
    (before_what_a_pipe_told, "no order has"),
    (returned_before_it_started, "no order has"),
]


def test_a_sound_story_is_sound() -> None:
    assert violations(sound().values()) == []


@pytest.mark.parametrize(("damage", "said"), BROKEN, ids=[each.__name__ for each, _ in BROKEN])
def test_a_violation_is_found(damage: Callable[[Story], None], said: str) -> None:
    story = sound()
    damage(story)
    assert [each for each in violations(story.values()) if said in each]


def test_what_overlaps_may_come_either_way() -> None:
    story = sound()
    the_wrong_way(story, "", 1.5)
    assert violations(story.values()) == []


def test_a_story_is_read_as_it_was_written() -> None:
    """The last line of one who was killed may be torn."""
    for process in sound().values():
        text = "".join(line(event) for event in process.events)
        assert read(process.name, text, False).events == process.events
        assert read(process.name, text[:-2], True).events == process.events[:-1]
