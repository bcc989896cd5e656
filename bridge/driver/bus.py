"""org.freedesktop.DBus: the interface's table, and its methods on names and match rules."""

from typing import Final

from bridge.driver import announce
from bridge.driver.announce import (
    ACTIVATABLE_SERVICES_CHANGED,
    NAME_ACQUIRED,
    NAME_LOST,
    NAME_OWNER_CHANGED,
)
from bridge.driver.call import Call, Hub, unowned
from bridge.driver.credentials import (
    get_adt_audit_session_data,
    get_connection_credentials,
    get_connection_selinux_security_context,
    get_connection_unix_process_id,
    get_connection_unix_user,
)
from bridge.driver.interface import Body, Interface, Method
from bridge.driver.properties import FEATURES, INTERFACES
from bridge.routing.errors import (
    ACCESS_DENIED,
    FAILED,
    LIMITS_EXCEEDED,
    MATCH_RULE_NOT_FOUND,
    Refused,
)
from bridge.routing.rule import Rule
from bridge.wire.protocol import DRIVER


def hello(call: Call) -> Body:
    """The reply comes first here: a client learns its name before it hears of it."""
    if call.client.active():
        raise Refused(FAILED, "Already handled an Hello message")
    client = call.client
    check_room(call.hub, client.credentials.uid, client.limits.max_connections_per_user)
    call.hub.join(call.client)
    call.answer(call.client.unique)
    announce.arrival(call.hub, call.client)
    return None


def check_room(hub: Hub, uid: int | None, most: int) -> None:
    """May one more client become active? If not it stays as it is and may try again. Native peers
    count, and once more if they have a unique name. Raises Refused."""
    if hub.active + hub.native >= hub.limits.max_completed_connections:
        raise Refused(LIMITS_EXCEEDED, "The maximum number of active connections has been reached")
    if uid is not None and hub.clients_of(uid) >= most:
        raise Refused(
            LIMITS_EXCEEDED,
            f"The maximum number of active connections for UID {uid} has been reached",
        )


def request_name(call: Call) -> Body:
    """The reply comes last: its caller already knows that it has the name."""
    name, flags = call.arguments
    call.hub.names.check(call.client, name)
    call.hub.gate.check_owning(call.client, name)
    limit = call.client.limits.max_names_per_connection
    code, change = call.hub.names.request(call.client, name, flags, limit)
    if change is not None:
        announce.handover(call.hub, change)
    return (code,)


def release_name(call: Call) -> Body:
    (name,) = call.arguments
    code, change = call.hub.names.release(call.client, name)
    if change is not None:
        announce.handover(call.hub, change)
    return (code,)


def start_service_by_name(call: Call) -> Body:
    """The reply comes when the name has an owner, or will not have one."""
    name, _flags = call.arguments
    call.hub.activation.start(call.client, call.frame, name, call.answer)
    return None


def update_activation_environment(call: Call) -> Body:
    """Whoever can do this can make services do anything: not where they are other users'
    (CVE-2014-8148)."""
    if call.hub.configuration.service_helper is not None:
        raise Refused(ACCESS_DENIED, "Cannot change activation environment on a system bus.")
    (variables,) = call.arguments
    call.hub.activation.update_environment(variables)
    return ()


def name_has_owner(call: Call) -> Body:
    (name,) = call.arguments
    return (has_owner(call, name),)


def has_owner(call: Call, name: str) -> bool:
    """The bus owns its own name."""
    return name == DRIVER or call.hub.names.owner(name) is not None


def list_names(call: Call) -> Body:
    return ([DRIVER, *call.hub.names.listing()],)


def list_activatable_names(call: Call) -> Body:
    return ([DRIVER, *call.hub.activation.services.names()],)


def add_match(call: Call) -> Body:
    """The rule holds from the next message on, whoever sends it."""
    (text,) = call.arguments
    hub, client = call.hub, call.client
    limit = client.limits.max_match_rules_per_connection
    if client.subscriptions >= limit:
        raise Refused(
            LIMITS_EXCEEDED,
            f'Connection "{client.unique}" is not allowed to add more match rules (increase '
            "limits in configuration file if required; "
            f"max_match_rules_per_connection={limit})",
        )
    rule = Rule.parse(text)
    if rule.eavesdrop:
        call.check_trusted()  # whatever the policy says of what is for others
        hub.gate.check_eavesdropping(client)
    hub.matches.add(rule, client)
    return ()


def remove_match(call: Call) -> Body:
    (text,) = call.arguments
    if not call.hub.matches.remove(Rule.parse(text), call.client):
        raise Refused(
            MATCH_RULE_NOT_FOUND, "The given match rule wasn't found and can't be removed"
        )
    return ()


def get_name_owner(call: Call) -> Body:
    (name,) = call.arguments
    if name == DRIVER:
        return (DRIVER,)
    owner = call.hub.names.owner(name)
    if owner is None:
        raise unowned("owner", name)
    return (owner.unique,)


def list_queued_owners(call: Call) -> Body:
    """The owner itself comes first."""
    (name,) = call.arguments
    if name == DRIVER:
        return ([DRIVER],)
    queue = call.hub.names.queue(name)
    if not queue:
        raise unowned("owners", name)
    return ([client.unique for client in queue],)


def reload_config(call: Call) -> Body:
    """Answered when the files have been read and hold; until then the bus goes on."""

    def done(problem: str | None) -> None:
        if call.client.gone():
            return
        if problem is None:
            call.answer()
        else:
            call.refuse(Refused(FAILED, problem))

    call.hub.reloader.request(done, call.client)
    return None


def get_id(call: Call) -> Body:
    return (call.hub.guid,)


INTERFACE: Final = Interface(
    DRIVER,
    any_path=True,
    methods=(
        Method("Hello", "", "s", hello, needs_hello=False),
        Method("RequestName", "su", "u", request_name),
        Method("ReleaseName", "s", "u", release_name),
        Method("StartServiceByName", "su", "u", start_service_by_name),
        Method(
            "UpdateActivationEnvironment",
            "a{ss}",
            "",
            update_activation_environment,
            trusted=True,
            at_home=True,
        ),
        Method("NameHasOwner", "s", "b", name_has_owner),
        Method("ListNames", "", "as", list_names),
        Method("ListActivatableNames", "", "as", list_activatable_names),
        Method("AddMatch", "s", "", add_match),
        Method("RemoveMatch", "s", "", remove_match),
        Method("GetNameOwner", "s", "s", get_name_owner),
        Method("ListQueuedOwners", "s", "as", list_queued_owners),
        Method("GetConnectionUnixUser", "s", "u", get_connection_unix_user),
        Method("GetConnectionUnixProcessID", "s", "u", get_connection_unix_process_id),
        Method("GetAdtAuditSessionData", "s", "ay", get_adt_audit_session_data),
        Method(
            "GetConnectionSELinuxSecurityContext",
            "s",
            "ay",
            get_connection_selinux_security_context,
        ),
        Method("ReloadConfig", "", "", reload_config),
        Method("GetId", "", "s", get_id),
        Method("GetConnectionCredentials", "s", "a{sv}", get_connection_credentials),
    ),
    properties=(FEATURES, INTERFACES),
    signals=(NAME_OWNER_CHANGED, NAME_LOST, NAME_ACQUIRED, ACTIVATABLE_SERVICES_CHANGED),
)
