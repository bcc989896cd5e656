"""Each row of the contract's part on bus1 (B.1 to B.4) and the tests that show it, through the
socket and from two or more processes.

A row without a test says why it has none. What is said here is compared with the tests that there
are, so that none of either is forgotten.
"""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent

OBJECTS = {
    "B.1 peer: a socket, POLLIN, POLLHUP": """
        a_connection_is_a_peer the_socket_tells_of_messages_and_of_the_end
        a_new_peer_has_its_seed_and_nothing_else a_socket_passed_on_is_the_same_peer""",
    "B.1 node": "a_node_is_made_by_create_only",
    "B.1 handle": "every_transfer_makes_a_new_handle a_handle_travels_in_a_message",
    "B.1 ids": "ids_are_never_used_twice",
    "B.1 the capability rule": "nobody_has_what_was_not_given a_handle_is_no_right_to_the_node",
    "B.1 seed": "the_seed_can_be_read_again_and_again",
    "B.1 pool and slices": "a_large_payload_is_in_pages_that_all_share",
    "B.1 descriptors": "descriptors_come_along a_socket_may_be_passed",
}

OPERATIONS = {
    "B.2 PEER_DISCONNECT": "disconnect a_peer_that_has_ended_is_told_so",
    "B.2 PEER_QUERY": "query",
    "B.2 PEER_RESET": "reset_limits reset_flush reset_flush_seed",
    "B.2 HANDLE_TRANSFER, transfer": """
        transfer transfer_to_what_is_no_peer transfer_of_a_handle_to_a_node_that_is_gone handle""",
    "B.2 HANDLE_RELEASE, release": "release_is_one_event all_or_nothing_is_released",
    "B.2 NODES_DESTROY": "destroy all_or_nothing_is_released",
    "B.2 SLICE_RELEASE": "- there are no slices: a memfd is its receiver's to close",
    "B.2 SEND(SEED)": "a_seed_is_replaced no_one_shot_handle_in_a_seed",
    "B.2 RECV, recv": "- messages come by themselves; B.3.13 says what is too large",
    "B.2 results in order": "results_come_in_the_order_of_the_requests",
    "B.2 what is not there": "a_flag_that_is_not_there a_request_that_is_not_there",
    "B.2 the protocol": """
        a_packet_that_is_none_ends_the_connection descriptors_of_no_record_end_the_connection""",
}

MESSAGES = {
    "B.2 SEND, send": """
        send_says_its_stamp send_to_the_same_node_twice send_to_nobody send_too_much
        send_what_does_not_add_up send_a_memfd send_what_one_does_not_hold
        a_quiet_request_is_answered_if_it_fails""",
    "B.2 SEND(CONTINUE)": "send_continue",
    "B.2 one-shot handles": """
        a_one_shot_handle a_one_shot_handle_moves a_one_shot_handle_that_dies_unused""",
    "B.2 a failed operation has no effect": "a_failed_operation_has_no_effect",
}

EVENTS = {
    "B.3.1 total order": "two_multicasts_meet_everybody_in_one_order",
    "B.3.2 causality": """
        what_follows_from_a_message_comes_behind_it
        what_has_returned_is_before_what_starts_then""",
    "B.3.3 atomic multicasts": """
        a_multicast_has_one_place_for_all a_multicast_comes_to_all_or_to_none""",
    "B.3.4 FIFO": "what_one_sends_to_another_comes_as_it_was_sent",
    "B.3.5 before and after a destruction": """
        what_was_sent_before_a_node_was_destroyed_still_comes""",
    "B.3.6 handles to nodes that are gone": "a_handle_to_a_node_that_is_gone_comes_as_none",
    "B.3.7 NODE_GONE": "every_holder_is_told_once_that_a_node_is_gone",
    "B.3.8 NO_HANDLES_LEFT": """
        the_owner_is_told_when_no_handles_are_left a_handle_of_its_own_is_one_that_is_left
        that_no_handles_are_left_is_withdrawn that_no_handles_are_left_is_said_again
        of_a_node_that_is_gone_no_more_is_said a_handle_in_a_message_is_one_that_is_left""",
    "B.3.9 who let go hears nothing": "who_let_go_in_time_hears_nothing",
    "B.3.10 the end of a peer": """
        a_peer_that_is_killed handles_in_messages_that_nobody_will_read_are_released""",
    "B.3.11 flush": "a_flush_is_a_point_in_the_order",
    "B.3.12 duplicates": """
        a_node_that_is_twice_in_one_multicast several_nodes_of_one_peer_in_one_multicast""",
    "B.3.13 too large to receive": "- a packet takes every message, or its sending is refused",
    "B.3.14 who is woken when": "- nothing is staged through the socket; B.1 has POLLIN",
}

QUOTAS = {
    "B.4 accounted to the receiver": "the_receiver_pays_and_not_the_sender",
    "B.4 self charge": "what_a_user_sends_itself_is_up_to_the_limit",
    "B.4 (a)": """
        hostile_users_leave_an_honest_one_its_share
        hostile_users_leave_an_honest_one_its_share_of_a_peer""",
    "B.4 (b)": "a_share_comes_back_when_it_is_read",
    "B.4 (c)": "a_stuck_peer_does_not_starve_its_sister",
    "B.4 (d)": "a_multicast_over_quota_for_one_fails_whole",
}

TABLE = {
    "test_objects.py": OBJECTS,
    "test_operations.py": OPERATIONS,
    "test_messages.py": MESSAGES,
    "test_events.py": EVENTS,
    "test_quota.py": QUOTAS,
}

# The order across processes and their being killed has more in tests/native/processes.
ROWS = [f"B.3.{number}" for number in range(1, 15)] + [f"B.4 ({letter})" for letter in "abcd"]


def named_in(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text())
    names = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
    return {name.removeprefix("test_") for name in names if name.startswith("test_")}


def test_each_row_has_its_tests_and_each_test_its_row() -> None:
    for file, rows in TABLE.items():
        shown = [rows[row].split() for row in rows if not rows[row].startswith("-")]
        assert named_in(file) == {name for names in shown for name in names}, file


def test_no_row_is_left_out() -> None:
    said = [row for rows in TABLE.values() for row in rows]
    for row in ROWS:
        assert any(each == row or each.startswith(row + " ") for each in said), row


def test_every_file_is_in_the_table() -> None:
    files = {file.name for file in HERE.glob("test_*.py")}
    assert files == set(TABLE) | {Path(__file__).name}
