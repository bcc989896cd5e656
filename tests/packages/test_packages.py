"""The policy of many Debian packages: it loads, and every bus makes the same of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from policy.configuration import Configuration
from policy.files import write_toml, write_xml
from policy.files.load import load
from policy.files.sheet import Sheet, alone
from tests.buses import KINDS, ROOT, Bus, missing, start
from tests.packages import fetch, system
from tests.packages.asked import Asked
from tests.packages.questions import CALL, Package, Person, package
from tests.packages.reckoned import REFUSED, Reckoned
from tests.policy.differential.visitors import possible

NAMES = fetch.packages()
Files = dict[str, list[Path]]


@pytest.fixture(scope="module")
def files() -> Files:
    try:
        return fetch.files()
    except fetch.Unavailable as reason:
        missing(str(reason))
        raise


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that every user can enter: sockets are in it."""
    with TemporaryDirectory(prefix="bus1-packages-") as directory:
        os.chmod(directory, 0o711)
        yield Path(directory)


@pytest.fixture(scope="module")
def shipped(files: Files, place: Path) -> Configuration:
    """All files as they are."""
    return load(str(system.write(place / "shipped", files, known=False)))


@pytest.fixture(scope="module")
def known(files: Files, place: Path) -> Configuration:
    """The same where all users exist."""
    return load(str(system.write(place / "known", files, known=True)))


def test_there_are_forty_packages(files: Files) -> None:
    assert len([name for name, paths in files.items() if paths]) >= 40


def test_all_files_load(files: Files, shipped: Configuration) -> None:
    """Nothing is skipped; all that is said is which users this machine does not have."""
    read = {Path(source).name for source in shipped.sources}
    assert read >= {path.name for paths in files.values() for path in paths}
    assert shipped.complaints == ()
    unknown = [complaint.text for complaint in Reckoned(shipped).people.complaints]
    assert all(text.startswith(("unknown user ", "unknown group ")) for text in unknown), unknown


def test_users_that_all_exist_leave_no_complaint(known: Configuration) -> None:
    assert known.complaints == ()
    assert Reckoned(known).people.complaints == []


# ------------------------------------------------------- the same on every bus


@pytest.fixture(scope="module")
def reckoned(known: Configuration) -> Reckoned:
    return Reckoned(known)


@pytest.fixture(scope="module", params=KINDS)
def bus(request: pytest.FixtureRequest, files: Files, place: Path) -> Iterator[Bus]:
    """Ours reads the directory; the reference would not sort it, so it gets a list."""
    if not possible():
        missing("only root can connect as other users")
    main = system.write(place / request.param, files, True, listed=request.param != "ours")
    os.chmod(main.parent, 0o711)
    running = start(request.param, main.parent, argv=(f"--config-file={main}",))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def asked(bus: Bus) -> Iterator[Asked]:
    answers = Asked(bus.address)
    yield answers
    answers.close()


def about(files: Files, place: Path, name: str) -> Package:
    """The questions about a package, from its files as the buses read them."""
    return package(place / "known" / "system.d" / path.name for path in files[name])


@pytest.mark.parametrize("name", NAMES)
def test_who_may_own_its_names(
    name: str, files: Files, place: Path, reckoned: Reckoned, asked: Asked
) -> None:
    about_it = about(files, place, name)
    questions = [(person, own) for person in about_it.people for own in about_it.names]
    expected = {each: reckoned.owns(*each) for each in questions}
    assert {each: asked.owns(*each) for each in questions} == expected


@pytest.mark.parametrize("name", NAMES)
def test_who_may_send_what_to_their_owner(
    name: str, files: Files, place: Path, reckoned: Reckoned, asked: Asked
) -> None:
    about_it = about(files, place, name)
    for names, forms in about_it.forms.items():
        owner = owner_of(names, about_it, reckoned)
        expected = {
            (person, form): reckoned.send(person, owner, names, form)
            for person in about_it.people
            for form in forms
        }
        answers = asked.send(about_it.people, owner, names, forms)
        wrong = {each: answers[each] for each in expected if answers[each] != expected[each]}
        assert not wrong, (owner, names, [f"{who}: {form}" for who, form in wrong])


def owner_of(names: tuple[str, ...], about_it: Package, reckoned: Reckoned) -> Person:
    """Root if it may own them, as services do, else somebody who may; there is one who may
    own everything."""
    people = sorted(about_it.people, key=lambda person: (person.user != "root", person))
    first = [Person("root"), *(p for p in people if p.user != system.KEEPER)]
    return next(
        (p for p in first if all(reckoned.owns(p, name) for name in names)), Person(system.KEEPER)
    )


# ----------------------------------------------------------------- in other forms


def rewrite(old: Path, place: Path, write: Callable[[Sheet], str], ending: str) -> Configuration:
    """The same system with each of its files in another form. A directory is read by the names
    of its files, so these begin as they did."""
    (place / "system.d").mkdir(parents=True)
    for path in (old / "system.d").iterdir():
        name = path.name.partition(".conf")[0] + ending
        (place / "system.d" / name).write_text(write(alone(str(path))))
    main = place / "system.conf"
    main.write_text(system.main_file(place, None))
    return load(str(main))


@pytest.fixture(scope="module")
def toml(known: Configuration, place: Path) -> Configuration:
    """All files in TOML."""
    return rewrite(place / "known", place / "toml", write_toml.write, ".conf.toml")


@pytest.fixture(scope="module")
def xml(toml: Configuration, place: Path) -> Configuration:
    """And these in XML again."""
    return rewrite(place / "toml", place / "xml", write_xml.write, ".conf")


@pytest.mark.parametrize("form", ["toml", "xml"])
def test_another_form_says_the_same(
    form: str, known: Configuration, request: pytest.FixtureRequest
) -> None:
    other: Configuration = request.getfixturevalue(form)
    assert other.complaints == ()
    assert replace(other, listen=known.listen) == known


@pytest.mark.parametrize("form", ["toml", "xml"])
def test_another_form_keeps_every_verdict(
    form: str, files: Files, place: Path, reckoned: Reckoned, request: pytest.FixtureRequest
) -> None:
    other = Reckoned(request.getfixturevalue(form))
    for name in NAMES:
        about_it = about(files, place, name)
        for person in about_it.people:
            for names, forms in about_it.forms.items():
                owner = owner_of(names, about_it, reckoned)
                for each in forms:
                    question = person, owner, names, each
                    assert other.send(*question) == reckoned.send(*question), question
            for own in about_it.names:
                assert other.owns(person, own) == reckoned.owns(person, own), (person, own)


# -------------------------------------------------------------- from the command line

ASKED = ("network-manager", "systemd-timesyncd", "geoclue-2.0", "cups-pk-helper")


def test_the_command_explains_it_alike(
    files: Files, place: Path, known: Configuration, reckoned: Reckoned
) -> None:
    """Of some packages: who owns the last name, and two calls to its owner, one of which is
    refused if any is."""
    found, expected = [], []
    for about_it in (about(files, place, name) for name in ASKED):
        nobody, own = Person(), about_it.names[-1]
        owner = owner_of((own,), about_it, reckoned)
        found.append(explained(place, nobody, "own", own))
        expected.append("allowed" if reckoned.owns(nobody, own) else "denied")
        calls = {
            "denied" if reckoned.send(nobody, owner, (own,), form) == REFUSED else "allowed": form
            for form in about_it.forms[own,]
            if form.kind == CALL and form.interface
        }
        for verdict, form in calls.items():
            words = ("send", own, f"{form.interface}.{form.member}", form.path)
            found.append(explained(place, nobody, *words, "--to-user", owner.user))
            expected.append(verdict)
    assert found == expected
    assert {"allowed", "denied"} == set(found)


def explained(place: Path, who: Person, *words: str) -> str:
    """The verdict of `bus1 policy explain --json`."""
    identity = who.identity()
    groups = [word for group in identity.groups for word in ("--group", str(group))]
    main = str(place / "known" / "system.conf")
    command = [sys.executable, "-m", "bridge.cli.main", "policy", "explain", *words]
    options = ["--user", str(identity.user), *groups, "--file", main, "--json"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    answer = json.loads(done.stdout)
    assert done.returncode == (answer["verdict"] == "denied"), done.stderr
    return str(answer["verdict"])
