"""A whole Slurm on this machine: munged, slurmctld and slurmd on loopback, with a fake GPU.

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge. The configuration has to
lie in /etc/slurm, since the executor plugin takes SLURM_CONF out of a job's environment; a Slurm
that is already configured there is left alone.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ETC = Path("/etc/slurm")
MARK = "# written by hearsay's tests; removed when they end\n"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")

SLURM_CONF = """{mark}
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
GresTypes=gpu
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=1
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/d
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; empty if one can."""
    if os.geteuid() != 0:
        return "starting Slurm's daemons needs root"
    if " " in sys.executable:
        return f"the executor plugin does not quote the path of {sys.executable}"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if absent:
        return (
            f"not installed: {', '.join(absent)} (apt install slurmctld slurmd slurm-client munge)"
        )
    conf = ETC / "slurm.conf"
    if conf.exists() and MARK not in conf.read_text(encoding="utf-8"):
        return "this machine has a Slurm of its own (/etc/slurm/slurm.conf)"
    return ""


@contextlib.contextmanager
def running(state: Path) -> Iterator[None]:
    """Start the daemons, wait until the node is idle, and stop them at the end."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for folder in ("ctld", "d"):
        (state / folder).mkdir(parents=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    conf = SLURM_CONF.format(
        mark=MARK,
        host=socket.gethostname().split(".")[0],
        state=state,
        cpus=os.cpu_count(),
        memory=memory - 256,
    )
    ETC.mkdir(exist_ok=True)
    (ETC / "slurm.conf").write_text(conf, encoding="utf-8")
    (ETC / "gres.conf").write_text(f"{MARK}Name=gpu File=/dev/null\n", encoding="utf-8")
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _start_munge()
        daemons += [_daemon(["slurmctld", "-D", "-c"]), _daemon(["slurmd", "-D", "-c"])]
        _wait_for_idle_node(state)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()


def _daemon(command: list[str]) -> subprocess.Popen[bytes]:
    # Its own session and no inherited streams: a pipe held open by a daemon hangs its reader.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _start_munge() -> None:
    if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    folder = Path("/run/munge")
    folder.mkdir(exist_ok=True)
    shutil.chown(folder, "munge", "munge")
    if not Path("/etc/munge/munge.key").exists():
        subprocess.run(["runuser", "-u", "munge", "--", "mungekey", "--create"], check=True)
    subprocess.run(
        ["runuser", "-u", "munge", "--", "/usr/sbin/munged", "--force"],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_for_idle_node(state: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True
        )
        said = (done.stdout + done.stderr).strip()
        if said == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(log.read_text(encoding="utf-8")[-2000:] for log in state.glob("*.log"))
    raise RuntimeError(f"Slurm's node is not idle after {seconds} s: {said}\n{logs}")
