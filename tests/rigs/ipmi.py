"""A BMC for a host of a rig that speaks IPMI over LAN: ipmi_sim, from Debian's openipmi.

Power on really boots the host, a soft shutdown presses its power button, power off pulls its plug.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.needs import need, program
from tests.rigs import witness
from tests.rigs.hostrig.client import Rig
from tests.running import until

USER = "operator"

LAN = """\
name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{chassis}"
  user 2 true "{user}" "{password}" operator 10 none md2 md5 straight
"""

MACHINE = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""

CHASSIS = """\
#!/bin/sh
# What ipmi_sim asks of a chassis, which has a second to answer: `get power`, or `set` and pairs of
# what and a value.
ask() {{ {python} -I -S {witness} {rig} {host} "$1" >/dev/null; }}
verb=$1
shift
case $verb in
get)
    for what; do
        if [ "$what" = power ] && ask state; then echo "$what:1"; else echo "$what:0"; fi
    done ;;
set)
    while [ $# -gt 1 ]; do
        case "$1 $2" in
        'power 1') ask on ;;
        'power 0') ask cut ;;
        'shutdown 1') ask button ;;
        *) exit 1 ;;
        esac || exit 1
        shift 2
    done
    ;;
esac
"""


@contextmanager
def simulated(folder: Path, password: str, rig: Rig, host: str = "gpu1") -> Iterator[int]:
    """Be the BMC of a host, at a UDP port of the loopback."""
    need("ipmitool")
    folder.mkdir(parents=True, exist_ok=True)
    chassis, lan, machine = folder / "chassis", folder / "lan.conf", folder / "machine.emu"
    words = {"python": sys.executable, "witness": witness.__file__, "rig": rig.folder, "host": host}
    chassis.write_text(
        CHASSIS.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
    )
    chassis.chmod(0o755)
    port = free_udp_port()
    lan.write_text(LAN.format(port=port, chassis=chassis, user=USER, password=password))
    machine.write_text(MACHINE)
    command: list[str | Path] = [program("ipmi_sim"), "-c", lan, "-f", machine, "-s", folder, "-n"]
    with (folder / "bmc.log").open("ab") as log:
        bmc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: bmc.poll() is not None or _listens(port))
        assert bmc.poll() is None, (folder / "bmc.log").read_text()
        yield port
    finally:
        bmc.kill()
        bmc.wait()


def free_udp_port() -> int:
    """Return a UDP port of the loopback that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    """Return whether somebody has the port, who then hears what is sent there."""
    return f" 0100007F:{port:04X} " in Path("/proc/net/udp").read_text()
