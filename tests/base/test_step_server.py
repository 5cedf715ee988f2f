"""A step that the server forks is what it is as a process of its own; else it is one."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearsay.provenance import PACKAGE
from hearsay.step_server.protocol import ADDRESS
from hearsay.step_server.starter import THREADS, StepServer, can_serve

pytestmark = pytest.mark.skipif(bool(can_serve()), reason=f"no step server: {can_serve()}")

LONGEST = 300.0  # seconds, of what takes one where nothing else runs
ONE_THREAD = dict.fromkeys(THREADS, "1")

# A step of many uses, and a library that it imports.
TRIAL = """
import atexit, json, os, random, signal, sys, tempfile, threading, time
import numpy
import library
from hearsay.errors import InputError

def wait(path):
    while not os.path.exists(path):
        time.sleep(0.01)

def touch(path):
    open(path, "w").close()

def facts():
    umask = os.umask(0)
    os.umask(umask)
    return {
        "argv": sys.argv[1:], "folder": os.getcwd(), "umask": umask, "path": sys.path[0],
        "environment": {k: v for k, v in os.environ.items() if not k.startswith(("_", "HEARSAY"))},
        "temporary": tempfile.gettempdir(), "main": __name__, "input": sys.stdin.read(),
        "handlers": [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)],
        "streams": [os.path.realpath(f"/proc/self/fd/{n}") for n in (1, 2)],
    }

def later():
    time.sleep(0.3)
    print("a thread's last words")

def saved(number, frame):
    print("saved", number, flush=True)
    sys.exit(75)

what, *more = sys.argv[1:]
if what == "facts":
    print(json.dumps(facts()))
elif what == "parent":
    print(os.getppid(), os.getpid())
elif what == "chance":
    print(random.random(), numpy.random.random())
elif what == "status":
    sys.exit(int(more[0]))
elif what == "message":
    sys.exit("no such thing")
elif what == "input error":
    raise InputError("the file is wrong")
elif what == "fault":
    raise RuntimeError("a fault")
elif what == "end":
    atexit.register(print, "registered for the end")
    threading.Thread(target=later).start()
    print("no end of line", end="")
elif what == "full":
    print("lost", file=open("/dev/full", "w"))
elif what == "meet":
    touch(more[0])
    wait(more[1])
elif what == "save":
    signal.signal(signal.SIGTERM, saved)
    touch(more[0])
    time.sleep(3600)
elif what == "sleep":
    open(more[0] + ".new", "w").write(str(os.getpid()))
    os.rename(more[0] + ".new", more[0])
    time.sleep(3600)
"""


class Steps:
    """Starts steps as a rule does, for a server or not."""

    def __init__(self, folder: Path, server: StepServer) -> None:
        self.folder, self.server = folder, server
        self.processes: list[subprocess.Popen[str]] = []

    @property
    def pid(self) -> int:
        return self.server._process.pid

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "hearsay.step", "trial", *map(str, arguments)],
            env=outside_pytest() | ONE_THREAD | {ADDRESS: self.server.address} | environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.server.stop()

    def run(self, *arguments: object, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate("given", timeout=LONGEST)
        return process.returncode, out, err

    def parent(self, **environment: str) -> tuple[int, str]:
        """Process that a step which ended well was a child of, and the step's log."""
        status, out, err = self.run("parent", **environment)
        assert status == 0, err
        return int(out.split()[0]), err

    def alone(self, *arguments: object) -> tuple[int, str, str]:
        return self.run(*arguments, **{ADDRESS: ""})


def outside_pytest() -> dict[str, str]:
    """The environment, without the name of the test and its phase."""
    return {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the step and its library."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "trial.py").write_text(TRIAL)
    (folder / "library.py").write_text(
        f"import os\nopen({str(folder / 'imported')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    )
    return folder


@pytest.fixture
def started(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Steps]]:
    """Starts servers that can import the step; they end with the test."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE.parent), str(folder)]))
    all_steps = []

    def start() -> Steps:
        monkeypatch.delenv("PYTEST_CURRENT_TEST")
        server = StepServer(tmp_path / "server.log")
        all_steps.append(Steps(folder, server))
        until(lambda: listens(server.address))
        return all_steps[-1]

    yield start
    for steps in all_steps:
        steps.stop()


@pytest.fixture
def steps(started: Callable[[], Steps]) -> Steps:
    return started()


def until(happened: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < LONGEST, "it did not happen"
        time.sleep(0.01)


def listens(address: str) -> bool:
    """Whether a server answers there: its address exists a moment before it does."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(address) == 0


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends meanwhile
        return False


def body(log: str) -> str:
    """A step's log without its header's and footer's times and the lines of the server."""
    lines = [line for line in log.splitlines() if not line.startswith(("[", "  alone"))]
    return "\n".join(lines)


def test_a_step_is_a_child_of_the_server_and_imports_nothing(steps: Steps) -> None:
    (steps.folder / "imported").unlink(missing_ok=True)
    pids = set()
    for _ in range(3):
        status, out, err = steps.run("parent")
        assert status == 0, err
        parent, pid = map(int, out.split())
        assert parent == steps.pid
        pids.add(pid)
    assert len(pids) == 3
    assert (steps.folder / "imported").read_text() == f"{steps.pid}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["facts", "with space", "ü", ""],
        ["status", 0],
        ["status", 7],
        ["message"],
        ["input error"],
        ["fault"],
        ["end"],
        ["full"],
    ],
    ids=lambda arguments: "-".join(map(str, arguments)).strip("-"),
)
def test_a_step_sees_and_says_the_same_as_alone(steps: Steps, arguments: list[object]) -> None:
    before = os.umask(0o027)
    try:
        served, alone = steps.run(*arguments), steps.alone(*arguments)
    finally:
        os.umask(before)
    if arguments[0] == "facts":
        told = [json.loads(out) for _, out, _ in (served, alone)]
        for facts in told:  # pipes of their own
            assert all(stream.startswith("/proc") for stream in facts.pop("streams"))
        assert told[0] == told[1]
        assert (told[0]["umask"], told[0]["input"]) == (0o027, "given")
    else:
        assert served[1] == alone[1]
    assert served[0] == alone[0]
    assert "  alone " not in served[2]
    assert body(served[2]) == body(alone[2])


def test_a_folder_and_a_temporary_folder_of_its_own(steps: Steps, tmp_path: Path) -> None:
    assert steps.run("status", 0)[0] == 0
    steps.folder, before = tmp_path, steps.folder
    facts = json.loads(steps.run("facts", TMPDIR=str(tmp_path))[1])
    steps.folder = before
    assert facts["folder"] == facts["path"] == facts["temporary"] == str(tmp_path)


def test_children_draw_different_numbers_by_chance(steps: Steps) -> None:
    drawn = [steps.run("chance")[1].split() for _ in range(3)]
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 3


def test_steps_run_at_the_same_time(steps: Steps, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    both = [steps.start("meet", first, second), steps.start("meet", second, first)]
    assert [process.wait(LONGEST) for process in both] == [0, 0]


def test_a_signal_reaches_the_step_which_ends_in_its_own_way(steps: Steps, tmp_path: Path) -> None:
    for environment in ({}, {ADDRESS: ""}):
        (tmp_path / "ready").unlink(missing_ok=True)
        process = steps.start("save", tmp_path / "ready", **environment)
        until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=LONGEST)
        assert (process.returncode, out) == (75, f"saved {int(signal.SIGTERM)}\n")


def sleeping(steps: Steps, path: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that asked for a step which sleeps, and the step's."""
    path.unlink(missing_ok=True)
    process = steps.start("sleep", path)
    until(path.exists)
    return process, int(path.read_text())


def test_who_asks_ends_by_the_signal_that_ended_the_step(steps: Steps, tmp_path: Path) -> None:
    process, child = sleeping(steps, tmp_path / "pid")
    os.kill(child, signal.SIGKILL)  # as the kernel does where memory is out
    assert process.wait(LONGEST) == -signal.SIGKILL


def test_a_step_dies_with_the_process_that_asked(steps: Steps, tmp_path: Path) -> None:
    process, child = sleeping(steps, tmp_path / "pid")
    process.kill()
    until(lambda: not runs(child))
    assert steps.run("status", 3)[0] == 3  # and the server goes on


def test_a_step_dies_with_the_server_and_who_asked_says_so(steps: Steps, tmp_path: Path) -> None:
    process, child = sleeping(steps, tmp_path / "pid")
    os.kill(steps.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 1
    assert "the step server has ended" in err
    until(lambda: not runs(child))
    assert steps.parent()[0] == os.getpid()  # the next ones do without it


def test_a_server_ends_after_its_last_step(steps: Steps, tmp_path: Path) -> None:
    go = tmp_path / "go"
    process = steps.start("meet", tmp_path / "there", go)
    until((tmp_path / "there").exists)
    steps.server._process.stdin.close()
    until(lambda: not Path(steps.server.address).exists())
    assert steps.parent()[0] == os.getpid()
    assert runs(steps.pid)
    go.touch()
    assert process.wait(LONGEST) == 0
    steps.server.stop()
    assert not Path(steps.server.address).parent.exists()


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from hearsay.step_server.starter import StepServer;"
        f"server = StepServer(Path({str(tmp_path / 'log')!r}));"
        "print(server._process.pid, flush=True); time.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        assert runs(server)
        owner.kill()
    until(lambda: not runs(server))


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"OMP_NUM_THREADS": "2"}, "OMP_NUM_THREADS"),
        ({"A_SETTING": "1", "HOME": "/nowhere"}, "A_SETTING, HOME"),
    ],
)
def test_an_environment_of_its_own_is_not_served(
    steps: Steps, environment: dict[str, str], why: str
) -> None:
    parent, err = steps.parent(**environment)
    assert parent == os.getpid()
    assert f"alone     an environment of its own: {why}" in err


def test_limits_of_its_own_are_kept(steps: Steps) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] - 1, before[1]))
    try:
        started = steps.start("parent")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    out, err = started.communicate(timeout=LONGEST)
    assert int(out.split()[0]) == os.getpid()
    assert "alone     the step server has another: set of limits" in err


def test_a_temporary_folder_of_a_long_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[[], Steps]
) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    steps = started()
    assert steps.parent()[0] == steps.pid


@contextmanager
def other_library(folder: Path, text: str) -> Iterator[None]:
    """The step's library holds `text` for a while."""
    library = folder / "library.py"
    before = library.read_text()
    library.write_text(text)
    try:
        yield
    finally:
        library.write_text(before)


def test_an_import_that_fails_is_told_in_the_step_s_own_log(
    started: Callable[[], Steps], folder: Path
) -> None:
    steps = started()
    with other_library(folder, "import torch_of_another_world\n"):
        status, _, err = steps.run("status", 0)
    assert status == 1
    assert "alone     the step server could not import trial" in err
    assert "No module named 'torch_of_another_world'" in err


def test_a_library_that_has_started_a_thread_is_not_forked(
    started: Callable[[], Steps], folder: Path
) -> None:
    steps = started()
    with_a_thread = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[3600], daemon=True).start()\n"
    )
    with other_library(folder, with_a_thread):
        for _ in range(2):
            parent, err = steps.parent()
            assert parent == os.getpid()
            assert "alone     libraries that the step server has imported run python" in err


def test_no_server_no_matter(steps: Steps, tmp_path: Path) -> None:
    parent, err = steps.parent(**{ADDRESS: str(tmp_path / "nothing")})
    assert parent == os.getpid()
    assert "alone     the step server does not answer" in err
