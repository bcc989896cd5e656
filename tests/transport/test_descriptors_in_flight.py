"""The kernel limits how many descriptors may be on their way (CVE-2014-3532).

Invariant: who is sent one too many stays connected, and who waits for an answer is told.
"""

import os
import subprocess
import sys

from tests.buses import ROOT, need

# Root may exceed the limit, unless it gives these up.
UNPRIVILEGED = ["setpriv", "--bounding-set", "-sys_admin,-sys_resource"]

PROGRAM = """
import os, resource, sys, tempfile
from pathlib import Path
from tests.buses import start

bus = start("ours", Path(tempfile.mkdtemp()))
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


def test_too_many_descriptors_in_flight_cost_a_message_and_no_connection() -> None:
    privileged = os.geteuid() == 0
    command = [need("setpriv"), *UNPRIVILEGED[1:]] if privileged else []
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
