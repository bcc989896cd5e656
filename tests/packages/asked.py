"""The answers as a running bus gives them, to clients of any user."""

from __future__ import annotations

from collections.abc import Iterable

from tests.packages.questions import BROADCAST, CALL, NEWS, Form, Person
from tests.packages.reckoned import ANSWERED, DELIVERED, REFUSED
from tests.policy.differential.visitors import acting_as
from tests.raw import CALL as CALLS
from tests.raw import ERROR, RETURN, Client, call_fields
from tests.raw import SIGNAL as SIGNALS

AT_ONCE = 50  # fewer than may wait for a reply (max_replies_per_connection)
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


class Asked:
    """One client for each person who asks; each hears all signals."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.clients: dict[Person, Client] = {}

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def client(self, person: Person) -> Client:
        """This person's connection, kept."""
        if person not in self.clients:
            self.clients[person] = self.connect(person)
        return self.clients[person]

    def connect(self, person: Person) -> Client:
        client = acting_as(person.identity(), lambda: Client(self.address))
        client.match("type='signal'")
        return client

    def owns(self, person: Person, name: str) -> bool:
        """Does this person get the name? It is given back."""
        client = self.client(person)
        answer = client.ask("RequestName", "su", name, 0)
        if answer.kind == ERROR:
            assert answer.error == DENIED, answer.args
            return False
        assert answer.args == [1]
        assert client.ask("ReleaseName", "s", name).args == [1]
        return True

    def send(
        self,
        people: Iterable[Person],
        owner: Person,
        names: tuple[str, ...],
        forms: tuple[Form, ...],
    ) -> dict[tuple[Person, Form], str]:
        """How each message fares between each of the people and the owner of the names."""
        answers = {}
        with self.connect(owner) as service:
            for name in names:
                assert service.own(name) == 1
            for person in people:
                for at in range(0, len(forms), AT_ONCE):
                    some = exchange(self.client(person), service, names, forms[at : at + AT_ONCE])
                    answers.update({(person, form): answer for form, answer in some.items()})
        return answers


def exchange(
    person: Client, service: Client, names: tuple[str, ...], forms: tuple[Form, ...]
) -> dict[Form, str]:
    """Send them all; the service answers the calls that it gets."""
    for client in (person, service):
        client.settle()
        client.unread.clear()
    sent = {form: post(person, form, names[0]) for form in forms if form.kind != NEWS}
    person.settle()
    service.settle()
    got = {message.serial: message for message in service.unread if message.sender == person.name}
    for message in got.values():
        if message.kind == CALLS:
            service.reply(message)
    sent |= {form: post(service, form, names[0]) for form in forms if form.kind == NEWS}
    service.settle()
    person.settle()
    heard = {message.serial for message in person.unread if message.sender == service.name}
    answers = {message.reply_to: message for message in person.unread if message.reply_to}
    return {
        form: DELIVERED
        if form.kind == NEWS and serial in heard
        else how(form, serial in got, answers.get(serial))
        for form, serial in sent.items()
    }


def post(client: Client, form: Form, name: str) -> int:
    """Send it, and return its serial."""
    to = None if form.kind in (BROADCAST, NEWS) else name
    fields = call_fields(to, form.path, form.interface, form.member)
    return client.send(CALLS if form.kind == CALL else SIGNALS, fields)


def how(form: Form, arrived: bool, answer: object) -> str:
    """What became of a message. One that is refused to somebody is answered by saying so."""
    if arrived:
        return ANSWERED if getattr(answer, "kind", 0) == RETURN else DELIVERED
    addressed = form.kind not in (BROADCAST, NEWS)
    assert getattr(answer, "error", None) == (DENIED if addressed else None), form
    return REFUSED
