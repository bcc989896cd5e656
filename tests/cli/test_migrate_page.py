"""Introspection XML for `bus1 migrate`: what is read, and what nobody can do with it."""

from __future__ import annotations

import pytest

from bridge.cli.migrate.page import DEEPEST, LONGEST, MOST, Refused, read
from bridge.cli.migrate.shape import Argument, Method, Property, Signal

DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">'
)


def interface(inside: str, name: str = "com.example.I") -> str:
    return f'{DOCTYPE}<node><interface name="{name}">{inside}</interface></node>'


def test_all_kinds_of_members() -> None:
    page = read(
        interface(
            '<method name="Do"><arg name="a" type="s" direction="in"/><arg type="a{sv}"/>'
            '<arg type="u" direction="out"/><annotation name="x.y" value="z"/></method>'
            '<signal name="Done"><arg name="how" type="(ib)"/></signal>'
            '<property name="Level" type="u" access="readwrite"/>'
            '<property name="Key" type="s" access="write"/>'
            '<property name="Slow" type="s" access="read"><annotation value="invalidates"'
            ' name="org.freedesktop.DBus.Property.EmitsChangedSignal"/></property>'
        )
    )
    assert page.notes == []
    found = page.interfaces["com.example.I"]
    takes = (Argument("a", "s"), Argument("", "a{sv}"))
    assert found.methods == {("Do", "sa{sv}"): Method("Do", takes, (Argument("", "u"),))}
    assert found.signals == {"Done": Signal("Done", (Argument("how", "(ib)"),))}
    assert found.properties == {
        "Level": Property("Level", "u", writable=True),
        "Key": Property("Key", "s", readable=False, writable=True),
        "Slow": Property("Slow", "s", emits="invalidates"),
    }


def test_what_every_object_has_is_left_to_the_library() -> None:
    page = read(interface('<method name="Get"/>', "org.freedesktop.DBus.Properties"))
    assert page.interfaces == {}
    assert page.has_properties


@pytest.mark.parametrize("encoding", ["foo", "utf-7", "idna", "utf-16", "rot13", "iso-8859-1"])
def test_text_is_text_whatever_encoding_it_speaks_of(encoding: str) -> None:
    page = read(f'<?xml version="1.0" encoding="{encoding}"?><node><node name="a"/></node>')
    assert page.children == ["a"]


def test_what_is_below() -> None:
    nodes = '<node name="a"><interface name="x.Y"/></node><node name="b/c"/><node/>'
    page = read(f"<node>{nodes}</node>")
    assert page.children == ["a", "b/c"]
    assert page.interfaces == {}


def test_elements_of_others_are_none() -> None:
    page = read(interface('<x:doc xmlns:x="y"><x:arg type="s"/></x:doc><method name="M"/>'))
    assert list(page.interfaces["com.example.I"].methods) == [("M", "")]


@pytest.mark.parametrize(
    ("inside", "note"),
    [
        ('<method name="import os"/>', "a method named 'import os'"),
        ('<method name=""/>', "a method named ''"),
        ('<method name="1x"/>', "a method named '1x'"),
        ("<signal/>", "a signal named ''"),
        ('<property name="P" type="ii"/>', "the property P of type 'ii'"),
        ('<property name="P" type=")&#10;evil"/>', "the property P of type ')\\\\nevil'"),
        ('<property name="P" type="s"/>', "the property P with the access ''"),
        (
            '<property name="P" type="s" access="unread"/>',
            "the property P with the access 'unread'",
        ),
        ('<method name="M"><arg type="sz"/></method>', "M, which has an argument of type 'sz'"),
        (f'<method name="{"x" * 256}"/>', f"a method named '{'x' * 60}'"),
    ],
)
def test_what_d_bus_cannot_mean_is_left_out(inside: str, note: str) -> None:
    page = read(interface(f'{inside}<method name="Good"/>'))
    assert list(page.interfaces["com.example.I"].methods) == [("Good", "")]
    assert page.notes == [note]


def test_no_names_of_interfaces_but_d_bus_s() -> None:
    page = read(interface('<method name="M"/>', "x); import os"))
    assert page.interfaces == {}
    assert page.notes == ["an interface named 'x); import os'"]


def test_notes_are_few() -> None:
    page = read(interface('<method name="?"/>' * 1000))
    assert len(page.notes) < 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no XML"),
        ("hello", "no XML"),
        ("<node>", "no XML"),
        ("<node/><node/>", "no XML"),
        ("<busconfig/>", "it begins with <busconfig>"),
        ("<x" + "y" * 1000 + "/>", "it begins with"),
        ('<!DOCTYPE node [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><node>&b;</node>', "entities"),
        ('<!DOCTYPE node [<!ENTITY a SYSTEM "file:///etc/passwd">]><node>&a;</node>', "entities"),
        ('<!DOCTYPE node [<!ENTITY % p SYSTEM "file:///etc/x"> %p;]><node/>', "entities"),
        ("<node>" * (DEEPEST + 1) + "</node>" * (DEEPEST + 1), "deeper than"),
        ("<node>" + "<node/>" * MOST + "</node>", "more than"),
        ("<node>" + " " * LONGEST + "</node>", "longer than"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read(text)


def test_a_method_may_be_there_twice() -> None:
    """As Qt has them: told apart by what they take."""
    page = read(interface('<method name="M"/><method name="M"><arg type="s"/></method>' * 2))
    assert list(page.interfaces["com.example.I"].methods) == [("M", ""), ("M", "s")]
