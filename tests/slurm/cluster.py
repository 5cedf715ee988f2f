"""A whole Slurm on this machine, for tests and for a person who wants to try a change on it.

``python tests/slurm/cluster.py`` starts munged, slurmctld and slurmd on loopback, with a fake GPU,
and runs until it is interrupted; ``--accounting`` adds slurmdbd and MariaDB. With ``-- COMMAND`` it
runs the command in the cluster and ends with its status::

    python tests/slurm/cluster.py --accounting -- \
        snakemake --profile slurm --configfile config/demo.yaml

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge, for accounting also
slurmdbd and mariadb-server. The configuration has to lie in /etc/slurm, since the executor plugin
takes SLURM_CONF out of a job's environment; a Slurm that is configured there already is left alone.
"""

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ETC = Path("/etc/slurm")
MARK = "# written by hearsay's tests; removed when they end\n"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
NEEDED_FOR_ACCOUNTING = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")
HOST = socket.gethostname().split(".")[0]

# Short times, so that what takes a real cluster minutes is seen in seconds.
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
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/{storage}
{accounting}
GresTypes=gpu
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
SlurmdTimeout=10
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/d
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=7-00:00:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes={host} MaxTime=1:00:00 PriorityTier=10 PreemptMode=OFF State=UP
"""

SLURMDBD_CONF = """{mark}
AuthType=auth/munge
DbdHost=localhost
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile={state}/slurmdbd.log
PidFile={state}/slurmdbd.pid
"""


def missing(*, accounting: bool = False) -> str:
    """Why no Slurm can be started here; empty if one can."""
    if os.geteuid() != 0:
        return "starting Slurm's daemons needs root"
    if " " in sys.executable:
        return f"the executor plugin does not quote the path of {sys.executable}"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    needed = NEEDED + (NEEDED_FOR_ACCOUNTING if accounting else ())
    absent = [name for name in needed if shutil.which(name, path=path) is None]
    if absent:
        packages = "slurmctld slurmd slurm-client munge"
        packages += " slurmdbd mariadb-server" if accounting else ""
        return f"not installed: {', '.join(absent)} (apt install {packages})"
    conf = ETC / "slurm.conf"
    if conf.exists() and MARK not in conf.read_text(encoding="utf-8"):
        return "this machine has a Slurm of its own (/etc/slurm/slurm.conf)"
    return ""


@dataclass
class Cluster:
    """A running Slurm, with the faults that tests cause in it.

    Attributes
    ----------
    state : folder of logs, spool and, with accounting, the database.
    accounting : whether slurmdbd runs.
    """

    state: Path
    accounting: bool = False
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        """Start every daemon and wait until the node is idle."""
        if not os.environ["PATH"].endswith(":/usr/sbin:/sbin"):
            os.environ["PATH"] += ":/usr/sbin:/sbin"
        for folder in ("ctld", "d"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        ETC.mkdir(exist_ok=True)
        _start_munge()
        if self.accounting:
            self._start_database()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        conf = SLURM_CONF.format(
            mark=MARK,
            host=HOST,
            state=self.state,
            cpus=os.cpu_count(),
            memory=memory - 256,
            storage="slurmdbd" if self.accounting else "none",
            accounting="AccountingStorageHost=localhost\nAccountingStorageTRES=gres/gpu"
            if self.accounting
            else "",
        )
        (ETC / "slurm.conf").write_text(conf, encoding="utf-8")
        (ETC / "gres.conf").write_text(f"{MARK}Name=gpu File=/dev/null\n", encoding="utf-8")
        if self.accounting:
            self._start_slurmdbd()
        self.start_controller()
        self.start_node()

    def stop(self) -> None:
        """Stop every daemon and take the configuration away."""
        for name in reversed(self._daemons):
            self._daemons[name].terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (ETC / name).unlink(missing_ok=True)

    def start_controller(self) -> None:
        """Start slurmctld, with the jobs that it knew when it was stopped."""
        known = (self.state / "ctld/job_state").exists()
        if _works("scontrol", "ping"):
            raise RuntimeError("another slurmctld answers already; stop it first")
        self._daemon("slurmctld", "-D", *([] if known else ["-c"]))
        self._wait(lambda: said("scontrol", "ping").count("UP"), "slurmctld answers")

    def start_node(self) -> None:
        """Start slurmd and wait until its node takes jobs."""
        self._daemon("slurmd", "-D", "-c")
        ready = ("idle", "mixed", "allocated", "completing")
        self._wait(lambda: said("sinfo", "-h", "-o", "%T").split("\n")[0] in ready, "node is ready")

    def kill(self, name: str) -> None:
        """Send SIGKILL to slurmctld or slurmd; a node's jobs die with it, as at a power cut."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()
        if name == "slurmd":
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    started = b"SLURM_JOB_ID=" in (process / "environ").read_bytes()
                    serves = (process / "cmdline").read_bytes().startswith(b"slurmstepd:")
                    if started or serves:
                        os.kill(int(process.name), signal.SIGKILL)

    def _daemon(self, *command: str) -> None:
        # Its own session and no inherited streams: a pipe held open by a daemon hangs its reader.
        self._daemons[command[0]] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _start_database(self) -> None:
        folder, self._port = self.state / "mariadb", _free_port()
        user = pwd.getpwnam("mysql")
        # Its user has to reach a folder that may lie below private ones.
        for parent in [self.state, *self.state.parents]:
            parent.chmod(parent.stat().st_mode | 0o011)
        folder.mkdir()
        os.chown(folder, user.pw_uid, user.pw_gid)
        quiet = {"check": True, "capture_output": True, "text": True}
        where = [f"--datadir={folder}", "--user=mysql"]
        subprocess.run(["mariadb-install-db", "--skip-test-db", *where], **quiet)
        socket_file = f"--socket={folder}/socket"
        self._daemon(
            *["mariadbd", "--no-defaults", *where, socket_file, f"--log-error={folder}/error.log"],
            *["--bind-address=127.0.0.1", f"--port={self._port}", "--innodb-buffer-pool-size=64M"],
        )
        client = ["mariadb", "--no-defaults", socket_file, "--user=root"]
        ping = lambda: subprocess.run([*client, "-e", "select 1"], capture_output=True).returncode  # noqa: E731
        self._wait(lambda: ping() == 0, "MariaDB answers")
        grant = (
            "create user slurm@'127.0.0.1' identified by 'slurm';"
            "create user slurm@localhost identified by 'slurm';"
            "grant all on slurm_acct_db.* to slurm@'127.0.0.1';"
            "grant all on slurm_acct_db.* to slurm@localhost;"
        )
        subprocess.run([*client, "-e", grant], **quiet)

    def _start_slurmdbd(self) -> None:
        conf = ETC / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(SLURMDBD_CONF.format(mark=MARK, state=self.state, port=self._port))
        self._daemon("slurmdbd", "-D")
        self._wait(lambda: _works("sacctmgr", "-n", "show", "cluster"), "slurmdbd answers")
        for what in (
            ["cluster", "test"],
            ["account", "lab", "Description=lab", "Organization=lab"],
            ["user", "root", "Account=lab"],
        ):
            # The cluster may have registered itself already.
            subprocess.run(["sacctmgr", "-i", "add", *what], check=False, capture_output=True)

    def _wait(self, condition: Callable[[], object], what: str, seconds: float = 300) -> None:
        try:
            wait_for(condition, seconds)
        except AssertionError:
            logs = "\n".join(
                f"{log}:\n{log.read_text(errors='replace')[-2000:]}"
                for log in sorted(self.state.rglob("*.log"))
            )
            raise RuntimeError(f"not within {seconds} s: {what}\n{logs}") from None


@contextlib.contextmanager
def running(state: Path, *, accounting: bool = False) -> Iterator[Cluster]:
    """Start a cluster with its files in `state`, and stop it at the end."""
    cluster = Cluster(state, accounting)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def said(*command: str) -> str:
    """What a command printed on standard output, whatever its status."""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def wait_for(condition: Callable[[], object], seconds: float = 600, every: float = 0.1) -> object:
    """Wait until `condition()` is true; return what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(every)
    return value


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _start_munge() -> None:
    if _works("munge", "-n"):
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


def main() -> int:
    """Run a cluster until interrupted, or for the time of one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd and MariaDB")
    parser.add_argument("--state", type=Path, help="folder of logs and spool; kept (default: /tmp)")
    parser.add_argument("command", nargs="*", help="what to run in the cluster, after --")
    chosen = parser.parse_args()
    if reason := missing(accounting=chosen.accounting):
        print(f"error: no Slurm can be started: {reason}", file=sys.stderr)
        return 1
    # Without this a SIGTERM would leave the daemons behind, and the next cluster would not start.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    state = chosen.state or Path(tempfile.mkdtemp(prefix="slurm."))
    with running(state.resolve(), accounting=chosen.accounting):
        if chosen.command:
            return subprocess.run(chosen.command).returncode
        print(f"Slurm runs; its logs are in {state}. Ctrl-C ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
