"""The kernel limits how many descriptors may be on their way (CVE-2014-3532).

Invariant: who is sent one too many stays connected, and who waits for an answer is told.
"""

from pathlib import Path

from tests.transport import in_flight

PROGRAM = """
import os, resource, sys
from pathlib import Path
from tests.buses import start

bus = start("ours", Path(sys.argv[1]))
resource.prlimit(bus.pid, resource.RLIMIT_NOFILE, (120, 120))
caller, callee, other = bus.connect(), bus.connect(), bus.connect()
fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(16)]
calls = [caller.call("M", "u", n, to=callee.name, interface="t.T", fds=fds) for n in range(40)]
told = [m.reply_to for m in caller.take() if str(m.error).endswith(".NoReply")]
assert other.ask("NameHasOwner", "s", callee.name).args == [True]
came = [m.serial for m in callee.take() if m.member == "M"]
assert came and told, (came, told)
assert sorted(came + told) == calls, (came, told)
for number, serial in enumerate(came):
    callee.send(2, [(6, caller.name), (5, serial)])
assert sorted(m.reply_to for m in caller.take()) == came
again = caller.call("M", to=callee.name, interface="t.T", fds=fds[:1])
callee.reply(callee.receive("M"))
assert caller.answer(again).error is None
bus.stop()
print("done")
"""


def test_too_many_descriptors_in_flight_cost_a_message_and_no_connection(tmp_path: Path) -> None:
    in_flight.run(PROGRAM, 3101, tmp_path)
