# SPDX-License-Identifier: GPL-2.0-or-later
"""The nodes: User-Mode Linux kernels on the shared root file system, each with four networks and an agent."""
import os
import shlex
import shutil
import signal

from . import agent, net
from .state import HERE, LabError, run, wait_for

MEMORY = "512M"
PROGRAMS = ("agent", "oracle")  # static, built for each lab from tests/lab/*.c, in every node at /share/bin
GUEST_SECTORS = 2880  # of the diskette that the guest of tests/lab/counter.S boots from, at /share/counter.img


def name(n):
    """The node's name in the lab's list of processes."""
    return f"node{n}"


def console(lab, n):
    return os.path.join(lab.logs, name(n) + ".log")


def all_of(lab):
    return range(1, lab.settings()["nodes"] + 1)


def check(lab, n):
    """The number of a node of this lab; LabError names those there are."""
    if not str(n).isdigit() or int(n) not in all_of(lab):
        raise LabError(f"no node '{n}' in lab '{lab.name}': 1 to {lab.settings()['nodes']}")
    return int(n)


def prepare(lab):
    """What the nodes see at /share: the lab's scripts and programs."""
    programs = os.path.join(lab.share, "bin")
    os.makedirs(programs, exist_ok=True)
    shutil.copytree(os.path.join(HERE, "node"), os.path.join(lab.share, "node"), dirs_exist_ok=True)
    shutil.copytree(os.path.join(HERE, "..", "..", "udev"), os.path.join(lab.share, "udev"), dirs_exist_ok=True)
    for program in PROGRAMS:
        run(["gcc", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-o", os.path.join(programs, program),
             os.path.join(HERE, program + ".c")])
    image = os.path.join(lab.share, "counter.img")
    run(["as", "--32", "-o", image + ".o", os.path.join(HERE, "counter.S")])
    run(["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00", "-o", image, image + ".o"])
    os.truncate(image, GUEST_SECTORS * 512)


def boot(lab, n):
    """Switches the node on; wait_ready() tells when it answers."""
    settings = lab.settings()
    uml_dir = os.path.join(lab.dir, "uml")  # UML keeps its sockets here; the path must be short
    shutil.rmtree(os.path.join(uml_dir, name(n)), ignore_errors=True)
    os.makedirs(uml_dir, exist_ok=True)
    argv = ["linux.uml", f"mem={settings.get('memory', MEMORY)}", f"umid={name(n)}", f"uml_dir={uml_dir}/", "rootfstype=hostfs",
            f"rootflags={settings['rootfs']}", "ro", "init=/lab/stage1", "con=null", "con0=null,fd:1", "ssl=null", "net.ifnames=0",
            # A watchdog's reset would otherwise make UML start itself anew in an endless loop.
            "noreboot", "loglevel=5", f"lab={lab.dir}", f"node={n}", f"nodes={settings['nodes']}", f"build={settings['build']}"]
    for b in net.BRIDGES:
        # gro=1: without it bulk TCP from the host stalls and readers hang in D state.
        argv.append(f"vec{b}:transport=tap,ifname={net.tap(n, b)},depth=128,gro=1,mac=02:77:00:00:0{b}:{n:02x}")
    lab.start(name(n), argv)


def answers(lab, n, seconds=3):
    """Whether the node is up and its agent runs programs."""
    try:
        return is_up(lab, n) and execute(lab, n, "test -e /run/ready", timeout=seconds, connect_timeout=1)[0] == 0
    except agent.AgentError:
        return False


def wait_ready(lab, n, seconds=60):
    def probe():
        if not is_up(lab, n):
            raise LabError(f"node {n} ended while it booted; see {console(lab, n)}")
        return answers(lab, n)
    wait_for(f"boot of node {n} (console: {console(lab, n)})", probe, seconds, 0.1)


def execute(lab, n, script, **kwargs):
    """(exit status, stdout, stderr) of a shell script on the node; AgentError if the node does not answer."""
    return agent.execute(lab.netns, f"10.77.0.{n}", script, **kwargs)


def must(lab, n, script, **kwargs):
    """The script's standard output as text; LabError if it fails."""
    status, out, err = execute(lab, n, script, **kwargs)
    if status != 0:
        words = (err or out).decode(errors="replace").strip().splitlines()[-6:]
        raise LabError(f"node {n}: exit {status}: {script.strip()[:200]}: {' / '.join(words)}")
    return out.decode(errors="replace")


def quote(word):
    return shlex.quote(str(word))


def power_cut(lab, n):
    if not is_up(lab, n):
        raise LabError(f"node {n} is off already")
    lab.kill(name(n))


def freeze(lab, n):
    lab.signal_main(name(n), signal.SIGSTOP)


def thaw(lab, n):
    lab.signal_main(name(n), signal.SIGCONT)


def is_up(lab, n):
    return lab.is_running(name(n))
