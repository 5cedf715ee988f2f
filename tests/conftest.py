"""Shared by all tests: copies of this checkout, Snakemake in them, and one run of the demo."""

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Other tests run beside: how long an example takes says nothing. Examples are the same every time,
# so that no run fails by chance; HEARSAY_FUZZ=deep draws others.
settings.register_profile(
    "hearsay",
    deadline=None,
    derandomize=os.environ.get("HEARSAY_FUZZ", "ci") == "ci",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("hearsay")

ROOT = Path(__file__).resolve().parent.parent

# Folders whose tests share what is dear to make: one process runs all of one.
TOGETHER = ("brain", "faults", "slurm")


class ByFileOrFolder(LoadScopeScheduling):
    """Gives the tests of one file, or of one of some folders, to one process of several."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = PurePosixPath(file).parent
        return str(folder) if folder.name in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrFolder:
    """How `make test` shares the tests out."""
    return ByFileOrFolder(config, log)


THREADS: list[int] = []  # of torch, as it began


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let every test begin alike, whatever ran before it in its process.

    Fixtures included, also those that several tests share: what is drawn is always the same, and
    torch is as it is in a fresh process, of which trainings leave it otherwise.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch = sys.modules.get("torch")
    if not hasattr(torch, "set_num_threads"):  # not imported, or not whole
        return
    if not THREADS:
        THREADS.append(torch.get_num_threads())
    torch.manual_seed(67_280_421_310_721)  # with which torch begins
    torch.set_num_threads(THREADS[0])
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.set_default_dtype(torch.float32)


@dataclass
class Done:
    """What a run of Snakemake left: its status and all it printed."""

    status: int
    text: str

    @property
    def jobs(self) -> dict[str, int]:
        """Rules and how many jobs each has, from the table that Snakemake prints."""
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", self.text, re.M | re.S)
        lines = table.group(1).splitlines() if table else []
        return {name: int(count) for name, count in (line.split() for line in lines)}

    @property
    def nothing_to_do(self) -> bool:
        return self.status == 0 and "Nothing to be done" in self.text


Snakemake = Callable[..., Done]


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Run Snakemake in a folder with the arguments given; never raises for its failure."""

    def run(folder: Path, *arguments: str | Path, timeout: float = 1800) -> Done:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout)

    return run


def _git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    return subprocess.run(
        ["git", *author, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of this checkout as it is now, uncommitted changes included."""
    folder = tmp_path_factory.mktemp("origin") / "hearsay"
    if (ROOT / ".git").exists():
        listing = _git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
        names = [name for name in listing.split("\0") if name and (ROOT / name).exists()]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    else:
        unwanted = shutil.ignore_patterns(".venv", ".snakemake", "results", "logs", "__pycache__")
        shutil.copytree(ROOT, folder, symlinks=True, ignore=unwanted)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "test")
    return folder


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make a fresh clone, under the name given."""

    def make(name: str = "clone") -> Path:
        _git(tmp_path, "clone", "--quiet", str(origin), name)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def demo(origin: Path, tmp_path_factory: pytest.TempPathFactory, snakemake: Snakemake) -> Path:
    """A clone in which the whole demo has run; many tests read it, none may change it.

    `HEARSAY_DEMO` names one that is there already, of the same code, to try a few tests sooner.
    """
    if ready := os.environ.get("HEARSAY_DEMO"):
        return Path(ready).resolve()
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one run for all processes of the tests
        shared = shared.parent
    folder, said = shared / "demo" / "hearsay", shared / "demo.txt"
    with FileLock(shared / "demo.lock"):
        if not said.exists():
            folder.parent.mkdir()
            _git(origin.parent, "clone", "--quiet", str(origin), str(folder))
            done = snakemake(folder, "--profile", "profiles/demo", timeout=7200)
            said.write_text(f"{done.status}\n{done.text}", encoding="utf-8")
    status, _, text = said.read_text(encoding="utf-8").partition("\n")
    assert status == "0", text
    return folder


@pytest.fixture(scope="session")
def speak_corpus() -> Callable[[str, dict, Path], Path]:
    """Write a spoken corpus in a process of its own, as the workflow does.

    What eSpeak NG said before in a process changes its sound: here, it would be other tests' words.
    """

    def speak(step: str, settings: dict, folder: Path) -> Path:
        arguments = ["--corpus", "spoken", "--settings", json.dumps(settings)]
        arguments += ["--out", str(folder), "--record", str(folder.with_suffix(".run.json"))]
        command = [sys.executable, "-m", "hearsay.step", step, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder

    return speak


# Trains and never comes to its end: whoever started it can be as late as the machine makes them.
ENDLESS = """
import time
from hearsay import step
from hearsay.training import loop

fit = loop.fit

def without_end(*arguments, **options):
    fit(*arguments, **options)
    time.sleep(3600)

loop.fit = without_end
raise SystemExit(step.main())
"""


def _last_written(checkpoints: Path) -> int:
    times = [0]
    for path in checkpoints.glob("*/checkpoint*.pt"):
        with contextlib.suppress(FileNotFoundError):  # it was just renamed
            times.append(path.stat().st_mtime_ns)
    return max(times)


@pytest.fixture(scope="session")
def kill_in_training() -> Callable[..., None]:
    """Start a training as a process, and end it with SIGKILL once it has written a checkpoint.

    After it `delay` seconds pass: at the next step, in the middle of a file or after the last step,
    but never once the outputs are written.
    """

    def kill(
        module: str, arguments: Sequence[str], checkpoints: Path, *, delay: float = 0.0
    ) -> None:
        before, patience = _last_written(checkpoints), time.monotonic() + 900
        command = [sys.executable, "-c", ENDLESS, module, *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as log:

            def said() -> str:
                log.seek(0)
                return log.read().decode(errors="replace")

            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                while _last_written(checkpoints) <= before:
                    assert process.poll() is None, said()
                    assert time.monotonic() < patience, "no checkpoint was written"
                    time.sleep(0.01)
                time.sleep(delay)
            finally:
                process.kill()
                process.wait()
            assert process.returncode == -9, said()

    return kill


@pytest.fixture
def meeting_port() -> dict[str, str]:
    """Environment of a training of several processes: the port at which they meet.

    Lightning asks the system for a free one and uses it seconds later: by then one of the
    connections of other tests may have it. The system gives out none of these.
    """
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("", port))
            return {"MASTER_PORT": str(port)}
    raise AssertionError("no port is free")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of third-party data; tests that use it are marked `real_data`."""
    named = os.environ.get("HEARSAY_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set HEARSAY_REAL_DATA)")
    return folder
