# SPDX-License-Identifier: GPL-2.0-or-later
"""
The Fibre Channel SAN: `lab fc …`. An array (tgt) and two nodes (n1, n2) are QEMU machines with two ports each; a switch
of our own with zones is between them (tests/lab/fc/switch.c). FCoE between peers gives real fc_hosts and remote ports;
the array shows itself as an IBM 2145 with ALUA and persistent reservations; a LUN has four paths on either node.

Booting three emulated machines takes a minute or two, so it is done once: the whole SAN as it runs is saved under the
hash of all that it was made of, and `up` takes it up from there in seconds. Everything runs as recorded processes of
the lab; `lab down` ends it too.
"""
import argparse
import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import agent, logs, node as uml, qemu
from .state import HERE, STATE, Lab, LabError, run, wait_for

CACHE = os.environ.get("STORAGED_LAB_CACHE", "/var/cache/storaged-lab")
GUEST = os.path.join(HERE, "fc", "guest")
ARRAY, NODES = "tgt", ("n1", "n2")
MACHINES = (ARRAY, *NODES)
SWITCH = "fc-switch"
CARDS = (0, 1)
PORTS = tuple(f"{m}.{k}" for m in MACHINES for k in CARDS)
PATHS = len(CARDS) ** 2
LUNS = {0: 1024, 1: 1024}  # number: MB, as the saved SAN has them
SLOTS = (1, 2)  # of a node, for what is plugged in while it runs (labkit/sas.py)
MEMORY = {ARRAY: 384, "n1": 512, "n2": 512}  # MB
DISK_GB = 1024  # of the array, sparse: its slots of 64 GB (fc/guest/target)
TELL_WHY = "oops=panic unknown_nmi_panic"  # a kernel that breaks ends its machine, and its console tells why: what_broke()
KEPT_DAYS = 3  # a saved SAN that nobody uses; it has 350 MB


# --- names and addresses
def mac(port):
    """The last two bytes are the port's id on the fabric: unique and not zero."""
    machine, card = port.split(".")
    if machine == ARRAY:
        return f"00:50:76:80:80:{1 + int(card):02x}"
    return f"00:24:ff:00:{machine[1:]:0>2}:1{card}"


def wwpn(port):
    return "20:00:" + mac(port)


def serial(number):
    """What the array makes a LUN's identity of: 25 hex digits."""
    return f"8018105231{int(number) + 1:015x}"


def wwid(number):
    """The WWID that multipath shows: NAA 6, the company's id, the serial."""
    return "36005076" + serial(number)


def device(number):
    return f"/dev/mapper/{wwid(number)}"


def process(name):
    """The name of a machine in the lab's list of processes."""
    return "fc-" + name


def folder(lab):
    return os.path.join(lab.dir, "fc")


def machine(lab, name):
    if name not in MACHINES:
        raise LabError(f"no Fibre Channel machine '{name}': {', '.join(MACHINES)}")
    return qemu.Machine(lab, process(name), folder(lab))


def check_port(name):
    if name not in PORTS:
        raise LabError(f"no port '{name}': {', '.join(PORTS)}")
    return name


def at_once(names, work):
    """Calls work(name) for all, at the same time; the results in order. The first error is raised after all ended."""
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return [f.result() for f in [pool.submit(work, n) for n in names]]


def touch(path):
    with open(path, "w", encoding="ascii"):
        pass


# --- what a machine is made of
@dataclasses.dataclass(frozen=True)
class Places:
    """Where the files of the machines are. Empty, it makes a command that is the same for every lab."""
    image: str = ""
    san: str = ""
    folder: str = ""
    share: str = ""
    build: str = ""


def devices(name, places):
    """QEMU's arguments for one machine."""
    luns = ",".join(f"{n}:{mb}:{serial(n)}" for n, mb in LUNS.items())
    acl = ",".join(wwpn(p) for p in PORTS if not p.startswith(ARRAY))
    role = f"role=target acl={acl} luns={luns}" if name == ARRAY else "role=initiator"
    argv = ["-m", str(MEMORY[name]), "-kernel", f"{places.image}/vmlinuz", "-initrd", f"{places.san}/initrd",
            "-append", f"console=ttyS0 quiet panic=-1 {TELL_WHY} net.ifnames=0 mitigations=off tsc=reliable node={name} {role}",
            "-drive", f"file={places.image}/root.img,format=raw,if=none,id=root,readonly=on,file.locking=off",
            "-device", "virtio-blk-pci,drive=root"]
    if name == ARRAY:
        # Flushes end in the host's memory: an array that waits for a busy host's disk looks dead to the nodes (docs/lab.md).
        argv += ["-drive", f"file={places.folder}/disk,format=raw,if=none,id=disk,discard=unmap,cache=unsafe",
                 "-device", "virtio-blk-pci,drive=disk"]
    for tag, path, options in (("share", places.share, ""), ("build", places.build, ",readonly=on")):
        argv += ["-fsdev", f"local,id={tag},path={path},security_model=none{options}",
                 "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    for card in CARDS:
        port = f"{name}.{card}"
        argv += ["-netdev", f"stream,id=fc{card},server=off,addr.type=unix,addr.path={places.folder}/{port}.port",
                 "-device", f"virtio-net-pci,id=card{card},netdev=fc{card},mac={mac(port)},speed=10000,duplex=full,romfile="]
    if name != ARRAY:
        for slot in SLOTS:
            argv += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot},slot={slot}"]
    return argv


def missing():
    """What keeps the Fibre Channel SAN from running here, or nothing."""
    if os.geteuid() != 0:
        return "not root"
    absent = [p for p in (qemu.PROGRAM, "mmdebstrap", "mke2fs", "gcc") if not shutil.which(p)]
    return f"not installed: {' '.join(absent)} (tools/deps installs what the lab needs)" if absent else ""


def guest_files():
    """{name: content} of the scripts that go to /lab in every machine."""
    found = {}
    for name in sorted(os.listdir(GUEST)):
        with open(os.path.join(GUEST, name), "rb") as f:
            found[name] = f.read()
    return found


def san_folder(image):
    """Where the saved SAN for this image is or would be: named by the hash of all that decides how it runs."""
    h = hashlib.sha256()
    with open(os.path.join(image, "id"), "rb") as f:
        h.update(f.read())
    with open(os.path.join(HERE, "agent.c"), "rb") as f:
        h.update(f.read())
    for name, content in guest_files().items():
        h.update(name.encode() + b"\0" + content)
    program = os.stat(shutil.which(qemu.PROGRAM) or "/")
    template = qemu.Machine(Lab("template"), "", "").argv([])
    h.update(json.dumps([[devices(m, Places()) for m in MACHINES], template, program.st_size, program.st_mtime,
                         run([qemu.PROGRAM, "--version"]).stdout]).encode())
    return f"{image}-{h.hexdigest()[:16]}"


def cpio(files):
    """An archive as the kernel reads it: {path: (mode, content)}."""
    def entry(number, path, mode, content):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + path.encode() + b"\0"
        return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    rows = [entry(i, path, mode, content) for i, (path, (mode, content)) in enumerate(files.items(), 1)]
    return b"".join(rows) + entry(0, "TRAILER!!!", 0, b"")


def make_initrd(image, san):
    """The image's own initial file system, and behind it /lab: scripts and agent."""
    program = os.path.join(san, "agent")
    run(["gcc", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-o", program, os.path.join(HERE, "agent.c")])
    files = {"lab": (0o040755, b"")}
    for name, content in guest_files().items():
        files[f"lab/{name}"] = (0o100755, content)
    with open(program, "rb") as f:
        files["lab/agent"] = (0o100755, f.read())
    with open(os.path.join(san, "initrd"), "wb") as out, open(os.path.join(image, "initrd"), "rb") as start:
        shutil.copyfileobj(start, out)
        out.write(b"\0" * (-out.tell() % 4) + cpio(files))


# --- the switch
def switch_commands(lab, *lines):
    """Commands to the switch, in order; what it answered, without the closing ok."""
    if not lab.is_running(SWITCH):
        raise LabError(f"the Fibre Channel SAN of lab '{lab.name}' is not up; start it with: lab --name {lab.name} fc up")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(os.path.join(folder(lab), "switch"))
        f = s.makefile("rw", encoding="ascii")
        said = []
        for line in lines:
            f.write(line + "\n")
            f.flush()
            for reply in f:
                if reply.startswith("error: "):
                    raise LabError(f"switch: {line}: {reply[7:].strip()}")
                if reply == "ok\n":
                    break
                said.append(reply.strip())
    return said


def start_switch(lab):
    program = os.path.join(folder(lab), SWITCH)
    run(["gcc", "-D_GNU_SOURCE", "-O2", "-Wall", "-o", program, os.path.join(HERE, "fc", "switch.c")])
    control = os.path.join(folder(lab), "switch")
    lab.start(SWITCH, [program, control, *(f"{p}={folder(lab)}/{p}.port" for p in PORTS)], in_netns=False)
    wait_for(f"switch (see {lab.logs}/{SWITCH}.log)", lambda: os.path.exists(control), 10)
    # One zone a pair of ports: initiators never see each other.
    switch_commands(lab, *(f"zone {a} {b}" for a in PORTS for b in PORTS if a.startswith(ARRAY) and not b.startswith(ARRAY)))


def hold(lab, pairs):
    """From now on no new command passes between these pairs of ports, and those on their way have been answered. A path
    is cut in such a moment only: what the array's kernel does about a write that was cut in two is no array's way (switch.c)."""
    switch_commands(lab, *(f"hold {a} {b}" for a, b in pairs))

    def probe():
        return not any(map(int, switch_commands(lab, *(f"busy {a} {b}" for a, b in pairs))))
    try:
        wait_for(f"answers to the commands on their way over {pairs}", probe, 30, 0.01)
    except LabError:
        release(lab, pairs)
        raise


def release(lab, pairs):
    switch_commands(lab, *(f"release {a} {b}" for a, b in pairs))


def zone(lab, a, b, allowed):
    """Puts two ports into a zone of their own, or takes them apart; neither is told."""
    pair = [(check_port(a), check_port(b))]
    if allowed:
        release(lab, pair)
        switch_commands(lab, f"zone {a} {b}")
    else:
        hold(lab, pair)
        switch_commands(lab, f"unzone {a} {b}")


def link(lab, port, is_up):
    """Pulls or plugs the cable at a machine's port."""
    name, card = check_port(port).split(".")
    pairs = [(port, p) for p in PORTS if p != port]
    if not is_up:
        hold(lab, pairs)
    machine(lab, name).set_link(f"card{card}", is_up)
    if is_up:
        release(lab, pairs)


# --- up and down
def start_machines(lab, places, from_state):
    """Switches all machines on, with an empty disk in the array."""
    os.makedirs(places.folder, exist_ok=True)
    os.makedirs(places.share, exist_ok=True)
    with open(os.path.join(places.folder, "disk"), "wb") as f:
        f.truncate(DISK_GB << 30)
    start_switch(lab)
    for name in MACHINES:
        machine(lab, name).start(devices(name, places), os.path.join(places.san, name + ".state") if from_state else None)


def end_machines(lab):
    lab.kill_all([name for name in (SWITCH, *map(process, MACHINES)) if name in lab.processes()])
    shutil.rmtree(folder(lab), ignore_errors=True)


def is_idle(lab, name):
    """No command is on its way to the array."""
    return not machine(lab, name).must("cat /sys/block/sd*/inflight | tr -d ' 0\\n'")


def save(lab, san):
    """Saves all machines at one quiet moment: a command whose answer is lost would hang for half a minute."""
    at_once(NODES, lambda n: machine(lab, n).must("sync; pkill -STOP -x multipathd"))
    for n in NODES:
        wait_for(f"{n}: end of the commands to the array", lambda n=n: is_idle(lab, n), 60, 0.2)
    for name in (*NODES, ARRAY):
        machine(lab, name).pause()
    if os.stat(os.path.join(folder(lab), "disk")).st_blocks:
        raise LabError(f"the array's disk is not empty ({folder(lab)}/disk): it would be missing in the saved SAN")
    at_once(MACHINES, lambda m: machine(lab, m).save(os.path.join(san, m + ".state")))


def make_san(lab, image, san, say):
    """Boots the SAN and saves it as it runs."""
    shutil.rmtree(san, ignore_errors=True)
    os.makedirs(san)
    make_initrd(image, san)
    # The folders are not mounted yet, as no machine with a mounted one can be saved: any will do.
    start_machines(lab, Places(image=image, san=san, folder=folder(lab), share=lab.share, build=lab.share), from_state=False)
    for name in MACHINES:
        machine(lab, name).wait_ready(240)
    say("booted")
    for n in NODES:
        wait_paths(lab, n, PATHS)
    say(f"{PATHS} paths to each of {len(LUNS)} LUNs on {' and '.join(NODES)}")
    save(lab, san)
    end_machines(lab)
    touch(os.path.join(san, "complete"))
    say(f"saved in {san}")


def forget_old(image):
    """Saved SANs that nobody used for long, and what a killed make_san() left. Called by who alone may make one."""
    parent, prefix = os.path.split(image)
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if name.startswith(prefix + "-") and (not os.path.exists(os.path.join(path, "complete"))
                                              or time.time() - os.stat(path).st_mtime > KEPT_DAYS * 86400):
            shutil.rmtree(path)


def need_san(lab, image, say):
    """The folder of the saved SAN; it is made if it is missing. A second one waits and then finds it made."""
    san = san_folder(image)
    with open(os.path.join(CACHE, "lock-fc-san"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(san, "complete")):
            say("no saved SAN for these scripts, kernel and QEMU: boots one")
            forget_old(image)
            make_san(lab, image, san, say)
        os.utime(san)  # its time is that of its last use
    return san


def is_saved():
    """Whether `up` would find all that it needs made."""
    if not shutil.which(qemu.PROGRAM):
        return False
    image = run([os.path.join(HERE, "fc", "image"), "--print"]).stdout.strip()
    return os.path.exists(os.path.join(image, "id")) and os.path.exists(os.path.join(san_folder(image), "complete"))


def wake(lab, name):
    """After a machine was taken up: the time of day, the lab's folders, and what was held still while it was saved."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    machine(lab, name).must(f"""
        set -e
        date -u -s '{now}' > /dev/null
        for tag in share build; do mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 $tag /$tag; done
        ! pidof multipathd > /dev/null || pkill -CONT -x multipathd""", timeout=60, connect_timeout=60)


def is_up(lab):
    """Whether an `up` came to its end."""
    return os.path.exists(os.path.join(folder(lab), "complete"))


def take_up(lab, image, san):
    """The saved SAN goes on, in this lab."""
    if not os.path.isdir(lab.build):
        raise LabError(f"no build directory {lab.build}: the machines show it at /build (make, or set STORAGED_BUILD)")
    if not os.path.exists(os.path.join(lab.share, "bin", "oracle")):
        uml.prepare(lab)
    start_machines(lab, Places(image=image, san=san, folder=folder(lab), share=lab.share, build=lab.build), from_state=True)
    for name in MACHINES:
        machine(lab, name).wait_monitor()
    for name in MACHINES:
        machine(lab, name).wait_loaded()
    for name in MACHINES:
        machine(lab, name).resume()
    at_once(MACHINES, lambda m: wake(lab, m))
    for n in NODES:
        wait_paths(lab, n, PATHS)


def up(lab, say=lambda text: None, only_save=False):
    """Takes up the saved SAN, which is made first if it is missing. only_save: that is all."""
    with lab.alone("fc up", seconds=600 if only_save else 0):
        names = (SWITCH, *map(process, MACHINES))
        if is_up(lab) and all(map(lab.is_running, names)):
            say("is up already")
            return
        if any(name in lab.processes() for name in names):
            raise LabError(f"the Fibre Channel SAN of lab '{lab.name}' is there half-made or damaged; end it with: "
                           f"lab --name {lab.name} fc down")
        image = run([os.path.join(HERE, "fc", "image")]).stdout.strip()
        try:
            san = need_san(lab, image, say)
            if only_save:
                take_down(lab)
                return
            take_up(lab, image, san)
        except BaseException:
            kept = gather(lab, os.path.join(STATE, f"failed-{lab.name}-fc-{int(time.time())}"))
            print(f"the Fibre Channel SAN of lab '{lab.name}' did not come up; logs: {kept}", file=sys.stderr)
            take_down(lab)
            raise
        touch(os.path.join(folder(lab), "complete"))
        say(f"{PATHS} paths to each of {len(LUNS)} LUNs on {' and '.join(NODES)}")


def take_down(lab):
    end_machines(lab)
    if not lab.processes() and not lab.exists():  # no other part of the lab is up
        shutil.rmtree(lab.dir, ignore_errors=True)


def down(lab):
    if os.path.isdir(lab.dir):
        with lab.alone("fc down", seconds=30):
            take_down(lab)


# A kernel that has warned (512) or oopsed (128), and an array that waits for ever for a command: twice the same process.
BROKEN = r"""
[ $(($(cat /proc/sys/kernel/tainted) & 640)) = 0 ] || dmesg | grep -m 1 -A 12 -E 'WARNING:|BUG:|Oops'
stuck() { grep -lsE 'target_wait_for_cmds|target_put_cmd_and_wait|core_tmr_lun_reset' /proc/[0-9]*/wchan; }
first=$(stuck) && sleep 10 && [ "$first" = "$(stuck)" ] && echo "the array waits for ever: $first"
true"""


def what_broke(lab, name):
    """
    What a machine's own kernel has broken of, as lines; none if it is whole. A machine that hangs is made to panic, so
    that its console tells where it was (docs/lab.md).
    """
    m = machine(lab, name)
    if m.is_running():
        with contextlib.suppress(agent.AgentError):
            return m.must(BROKEN, timeout=90, connect_timeout=60).splitlines()
        with contextlib.suppress(LabError):  # QEMU itself may be gone by now
            m.qmp("inject-nmi")
            wait_for(f"end of {name}", lambda: not m.is_running(), 30)
    with open(m.console, encoding="utf-8", errors="replace") as f:
        return ["it does not answer; its console ends with:", *(line.rstrip() for line in f.readlines()[-80:])]


def broken(lab):
    """{machine: lines} of those whose kernel is broken."""
    return {m: lines for m, lines in zip(MACHINES, at_once(MACHINES, lambda m: what_broke(lab, m)), strict=True) if lines}


QUESTIONS = {
    "dmesg": "dmesg",
    "processes": "ps axo pid,ppid,stat,wchan:30,time,args",
    "fibre-channel": "/lab/initiator ports; /lab/target luns; lsblk -o NAME,SIZE,STATE,HCTL",
    "multipath": "timeout 5 multipathd show maps topology; timeout 5 multipathd show paths; timeout 5 dmsetup table",
}


def gather(lab, target):
    """What the lab's processes wrote, and what the machines answer, in a folder."""
    logs.gather(lab, target)

    def ask(name):
        for question, script in QUESTIONS.items():
            try:
                _status, out, err = machine(lab, name).execute(f"{{ {script}; }} 2>&1", timeout=20, connect_timeout=3)
            except agent.AgentError as e:
                out, err = b"", f"no answer: {e}\n".encode()
            os.makedirs(os.path.join(target, process(name)), exist_ok=True)
            with open(os.path.join(target, process(name), question), "wb") as f:
                f.write(out + err)
            if err and not out:
                return  # it will not answer the others either
    at_once(MACHINES, ask)
    return target


# --- the array
def array(lab, *words):
    return machine(lab, ARRAY).must(" ".join(["/lab/target", *map(str, words)]), timeout=60)


def luns(lab):
    """{number: MB} as the array has them."""
    return {int(line.split()[0]): int(line.split()[1]) for line in array(lab, "luns").splitlines()}


def lun_add(lab, number, megabytes):
    array(lab, "lun-add", int(number), int(megabytes), serial(number))


def lun_remove(lab, number):
    array(lab, "lun-remove", int(number))


def lun_resize(lab, number, megabytes):
    array(lab, "lun-resize", int(number), int(megabytes))


# --- a node
def initiator(lab, node, *words):
    return machine(lab, node).must(" ".join(["/lab/initiator", *map(str, words)]), timeout=60)


def scan(lab, node, number):
    """Makes a node look for one LUN on every path, and for nothing else."""
    initiator(lab, node, "scan", number)


def resize(lab, node, number):
    """Makes a node read a LUN's size anew on every path and in the map."""
    initiator(lab, node, "resize", wwid(number))


def forget(lab, node, number):
    """Makes a node let go of a LUN, map and paths, before the array removes it."""
    initiator(lab, node, "forget", wwid(number))


def path_states(lab, node):
    """{wwid: [state of each path]}: "ready" if the checker and the kernel's map agree that it works."""
    maps = json.loads(machine(lab, node).must("multipathd show maps json", timeout=30))["maps"]
    return {m["uuid"]: [p["chk_st"] if p["dm_st"] == "active" else p["dm_st"] for g in m["path_groups"] for p in g["paths"]]
            for m in maps}


def paths(lab, node):
    """{wwid: number of paths that work}."""
    return {w: states.count("ready") for w, states in path_states(lab, node).items()}


def wait_paths(lab, node, wanted, numbers=None, seconds=120):
    """Until the node has that many working paths to each of the LUNs (those of the saved SAN, if not told)."""
    names = {wwid(n) for n in (LUNS if numbers is None else numbers)}
    found = {}

    def probe():
        machine(lab, node).check_running()
        found.clear()
        with contextlib.suppress(LabError, agent.AgentError, ValueError):
            found.update(paths(lab, node))
        return all(found.get(w) == wanted for w in names)
    try:
        wait_for(f"{node}: {wanted} paths to each of {sorted(names)}", probe, seconds, 0.3)
    except LabError as e:
        raise LabError(f"{e}; found {found}") from None


def fc_ports(lab, node):
    """What a node's kernel knows: {wwpn: state} of its own ports; (wwpn, state, roles) of each remote port at each."""
    rows = [line.split() for line in initiator(lab, node, "ports").splitlines()]
    own = {_colons(r[1]): r[3] for r in rows if r[0] == "port"}
    remote = [(_colons(r[1]), r[3], r[4]) for r in rows if r[0] == "remote"]
    return own, remote


def _colons(name):
    digits = name.removeprefix("0x")
    return ":".join(digits[i:i + 2] for i in range(0, len(digits), 2))


# --- lab fc …
def _up(lab, args):
    why = missing()
    if why:
        print(f"lab fc: {why}", file=sys.stderr)
        return 77
    begin = time.monotonic()
    up(lab, lambda text: print(f"{time.monotonic() - begin:6.1f} s  Fibre Channel: {text}", flush=True),
       only_save=args.verb == "prepare")
    return 0


def _down(lab, _args):
    down(lab)
    return 0


def _run(lab, args):
    return machine(lab, args.machine).execute(" ".join(args.command), timeout=args.timeout, on_output=agent.to_terminal)[0]


def _link(lab, args):
    link(lab, args.port, args.state == "up")
    return 0


def _zone(lab, args):
    if args.state:
        zone(lab, args.port, args.other, args.state == "on")
    return _status(lab, args)


def _lun(lab, args):
    if args.what == "add":
        lun_add(lab, args.number, args.megabytes)
    elif args.what == "remove":
        lun_remove(lab, args.number)
    else:
        lun_resize(lab, args.number, args.megabytes)
    return 0


def _logs(lab, args):
    print(gather(lab, args.folder or os.path.join(STATE, f"logs-{lab.name}-fc-{int(time.time())}")))
    return 0


def _status(lab, _args):
    rows = [line.split() for line in switch_commands(lab, "show")]
    for name in MACHINES:
        pid = lab.pid(process(name))
        print(f"{name:4} {f'pid {pid}' if pid else 'ended'}")
        for port, _state, connected, frames_in, frames_out, dropped, *zoned in rows:
            if port.startswith(name + "."):
                print(f"  {port:6} {wwpn(port)}  {connected}, {frames_in} frames in, {frames_out} out, {dropped} dropped; "
                      f"zoned with {' '.join(zoned) or 'none'}")
    for number, mb in luns(lab).items():
        print(f"LUN {number:2} {mb:6} MB  {wwid(number)}")
    return 0


def parser():
    p = argparse.ArgumentParser(prog="lab fc", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, work, text):
        a = sub.add_parser(name, help=text)
        a.set_defaults(work=work)
        return a
    verb("up", _up, "starts the array, two nodes and the switch")
    verb("prepare", _up, "only makes what `up` needs; exit 77 if that cannot be done here")
    verb("down", _down, "ends them")
    verb("status", _status, "machines, ports, zones, LUNs")
    a = verb("run", _run, "runs a shell command on a machine; its exit status is yours")
    a.add_argument("--timeout", type=float, default=120, help="seconds")
    a.add_argument("machine", choices=MACHINES)
    a.add_argument("command", nargs=argparse.REMAINDER)
    a = verb("link", _link, "pulls or plugs the cable at a port")
    a.add_argument("port", metavar="PORT", help=", ".join(PORTS))
    a.add_argument("state", choices=["up", "down"])
    a = verb("zone", _zone, "shows the zones, or puts two ports together or apart: a single path")
    a.add_argument("port", metavar="PORT", nargs="?")
    a.add_argument("other", metavar="PORT", nargs="?")
    a.add_argument("state", choices=["on", "off"], nargs="?")
    a = verb("lun", _lun, "what the array's administrator does")
    a.add_argument("what", choices=["add", "remove", "resize"])
    a.add_argument("number", type=int)
    a.add_argument("megabytes", type=int, nargs="?", default=1024, metavar="MB")
    a = verb("logs", _logs, "gathers what the machines have to say")
    a.add_argument("folder", nargs="?")
    return p


def command(lab, words):
    """`lab fc WORDS…`"""
    args = parser().parse_args(["--help"] if words in ([], ["help"]) else words)
    if args.verb == "zone" and args.port and not args.state:
        raise LabError("fc zone takes: nothing, or PORT PORT on|off")
    return args.work(lab, args)
