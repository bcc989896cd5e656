"""The kernel's side of one native peer: one recvmsg in, one sendmsg out. It knows no records."""

from bus1.native.packet import Packet

def receive(fd: int, payer: int = 0) -> Packet | None:
    """One recvmsg: a packet, with size 0 at the end; None: try later. What
    nobody wants of its descriptors is closed at the expense of the payer, who sent them. Raises
    OSError."""

def send(fd: int, packet: Packet) -> bool:
    """One sendmsg. True: the kernel has it, and the packet is empty again. False: try later, with
    the packet, which has memory of its own now. Raises OSError."""
