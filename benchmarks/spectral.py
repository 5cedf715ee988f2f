"""Race the spectral audit against WeightWatcher and powerlaw, and check that the numbers agree.

    python benchmarks/spectral.py            everything; writes benchmarks/spectral.md
    python benchmarks/spectral.py --quick    small sizes, a minute or two; only prints

Run it with the project's own Python, on Linux. The peers run in an environment of their own, made
once in benchmarks/.venv from requirements-peers.txt. Every contender runs in a process of its own,
on the same saved inputs, with the same number of threads. What is timed excludes imports and
reading; what memory is reported is beyond that of the loaded weights and libraries.
"""

import argparse
import contextlib
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PEERS = HERE / ".venv"
POWERLAW_2 = "powerlaw==2.0.0"  # beside powerlaw 1.5, in a folder of its own
LONG = 30.0  # a contender that needs more seconds than this races in one round only

HEARSAY, WEIGHTWATCHER = "hearsay", "WeightWatcher 0.7.7"
POWERLAWS = ("powerlaw 1.5", "powerlaw 2.0")


# Inside the contenders' processes: each task returns seconds, runs and what it found.


def timed(function: Callable[[], object]) -> tuple[dict, object]:
    """Shortest run over half a second of runs, or the only one, and the last run's result."""
    times = []
    while sum(times) < 0.5:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            start = time.perf_counter()
            result = function()
            times.append(time.perf_counter() - start)
    return {"seconds": min(times), "runs": len(times)}, result


def resident(field: str) -> float:
    """This process's resident memory in MB (10^6 bytes): now ("VmRSS") or at its peak ("VmHWM")."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024e-6


def timed_with_memory(function: Callable[[], object]) -> tuple[dict, object]:
    """As `timed`, and the highest memory beyond that before the first run."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    timing, result = timed(function)
    return {**timing, "megabytes": resident("VmHWM") - before}, result


def fit_hearsay(source: str) -> dict:
    from hearsay.spectral.power_law import fit_power_law

    values = np.load(source, allow_pickle=False)
    timing, fit = timed(lambda: fit_power_law(values))
    return {**timing, "alpha": fit.alpha}


def fit_weightwatcher(source: str) -> dict:
    from weightwatcher.WW_powerlaw import WWFit

    values = np.load(source, allow_pickle=False)
    timing, fit = timed(lambda: WWFit(values))
    return {**timing, "alpha": float(fit.alpha)}


def fit_powerlaw(source: str) -> dict:
    import powerlaw

    values = np.load(source, allow_pickle=False)
    # Version 2 caps alpha at 3 unless its range is opened.
    second = hasattr(powerlaw, "fitting")
    options = {"parameter_ranges": {"alpha": [1, None]}} if second else {}
    timing, fit = timed(lambda: powerlaw.Fit(values, verbose=False, **options))
    return {**timing, "alpha": float(fit.power_law.alpha)}


def model_weightwatcher(target: str, layers: str) -> dict:
    import torch
    import weightwatcher
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(BertConfig(num_hidden_layers=int(layers)))
    torch.save(model.state_dict(), target)
    watcher = weightwatcher.WeightWatcher(model=model)
    timing, details = timed_with_memory(watcher.analyze)
    return {**timing, "alpha": dict(zip(details.longname, map(float, details.alpha), strict=True))}


def model_hearsay(source: str, layers: str) -> dict:
    import torch

    from hearsay.spectral.power_law import fit_power_law
    from hearsay.spectral.report import audit

    state = torch.load(source, weights_only=True)
    # As WeightWatcher 0.7.7 fits: every eigenvalue above 1e-5, no xmax.
    options = {"xmax": "none", "drop_smallest": False, "min_size": 8}
    timing, frame = timed_with_memory(lambda: audit(state, **options))
    succeeded = frame[frame.status.isin(["ok", "small_tail"])]
    # The audit has no absolute threshold: show that it would not change a single alpha.
    spectra = {}
    audit(state, **options, keep_eigenvalues=spectra.__setitem__)
    above = [fit_power_law(spectra[row][spectra[row] > 1e-5]).alpha for row in succeeded.index]
    return {
        **timing,
        "alpha": {
            name.removesuffix(".weight"): alpha
            for name, alpha in zip(succeeded.name, succeeded.alpha, strict=True)
        },
        "threshold_effect": float(np.max(np.abs(succeeded.alpha - above))),
    }


def matrix_hearsay(source: str) -> dict:
    from hearsay.spectral.spectrum import eigenvalues

    weight = np.load(source, allow_pickle=False)
    timing, values = timed_with_memory(lambda: eigenvalues(weight))
    return {**timing, "eigenvalues": values.tolist()}


def matrix_weightwatcher(source: str) -> dict:
    from weightwatcher.RMT_Util import svd_vals

    weight = np.load(source, allow_pickle=False)
    # Its analyze() does this to every matrix: a float64 copy, then scipy's SVD.
    timing, values = timed_with_memory(lambda: svd_vals(weight.astype(float)) ** 2)
    return {**timing, "eigenvalues": np.sort(values).tolist()}


TASKS = {
    name: task
    for name, task in globals().items()
    if name.split("_")[0] in ("fit", "model", "matrix")
}


# In the process that the user starts.


def prepare_peers() -> None:
    """Make benchmarks/.venv unless it already holds what is asked for."""
    requirements = HERE / "requirements-peers.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + POWERLAW_2.encode()).hexdigest()
    ready = PEERS / ".ready"
    if ready.exists() and ready.read_text() == wanted:
        return
    print("Preparing benchmarks/.venv (once; some minutes)", file=sys.stderr, flush=True)
    venv.create(PEERS, with_pip=True, clear=True)
    torch = next(word for word in requirements.read_text().split() if word.startswith("torch=="))
    install = [PEERS / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, torch], check=True)
    subprocess.run([*install, "-r", requirements], check=True)
    subprocess.run([*install, "--no-deps", "--target", PEERS / "powerlaw2", POWERLAW_2], check=True)
    ready.write_text(wanted)


def run(contender: str, task: str, *arguments: object, threads: int) -> dict:
    """A task's answer, from a process of its own under the contender's Python."""
    environment = dict(os.environ)
    for library in ("OMP", "OPENBLAS", "MKL"):
        environment[f"{library}_NUM_THREADS"] = str(threads)
    modules = {HEARSAY: HERE.parent / "workflow", "powerlaw 2.0": PEERS / "powerlaw2"}
    environment["PYTHONPATH"] = str(modules.get(contender, ""))
    python = sys.executable if contender == HEARSAY else PEERS / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [python, __file__, "--task", task, answer, *arguments]
        process = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, check=False
        )
        if process.returncode != 0:
            sys.exit(f"{contender}: {task} failed\n{process.stderr}")
        result = json.loads(answer.read_text())
    print(f"  {task} {contender}: {result['seconds']:.4g} s", file=sys.stderr, flush=True)
    return result


def race(contenders: dict[str, tuple], rounds: int, threads: int) -> dict[str, dict]:
    """Shortest times of all contenders, who take turns so that a busy moment hits them alike."""
    results: dict[str, dict] = {}
    for number in range(rounds):
        for contender, call in contenders.items():
            if number and results[contender]["seconds"] > LONG:
                continue
            result = run(contender, *call, threads=threads)
            if number:
                result["runs"] += results[contender]["runs"]
                result["seconds"] = min(result["seconds"], results[contender]["seconds"])
            results[contender] = result
    return results


def pareto(n: int, alpha: float) -> np.ndarray:
    return (1 - np.random.default_rng(n).random(n)) ** (-1 / (alpha - 1))


def student_spectrum(n: int) -> np.ndarray:
    return np.linalg.svd(np.random.default_rng(n).standard_t(3, (n, n)), compute_uv=False) ** 2


def fits(folder: Path, quick: bool, rounds: int, threads: int) -> Iterator[str]:
    yield "## One fit"
    yield ""
    yield (
        "Seconds for the fit of one spectrum, over all xmin, no xmax. Student: squared singular "
        "values of an n x n matrix of Student-t(3) entries. Pareto: n values with alpha = 3, for "
        "which D is flat and pruning is hardest. powerlaw 2.0 has its range for alpha opened (by "
        "default it stops at 3); its candidates leave out the two largest values."
    )
    yield ""
    contenders = (HEARSAY, WEIGHTWATCHER, *POWERLAWS)
    yield "| spectrum | n | " + " | ".join(contenders) + " | alpha, largest difference |"
    yield "|---|---:|" + "---:|" * (len(contenders) + 1)
    tasks = dict(zip(contenders, ("hearsay", "weightwatcher", "powerlaw", "powerlaw"), strict=True))
    sizes = [("Student", n) for n in ((512, 1024) if quick else (512, 1024, 2048, 4096))]
    for kind, n in [*sizes, ("Pareto", 2000 if quick else 15_000)]:
        source = folder / f"{kind}{n}.npy"
        np.save(source, student_spectrum(n) if kind == "Student" else pareto(n, 3.0))
        calls = {name: (f"fit_{task}", source) for name, task in tasks.items()}
        results = race(calls, rounds, threads)
        ours = results[HEARSAY]
        cells = [f"{1e3 * ours['seconds']:.2f} ms"]
        for name in contenders[1:]:
            seconds = results[name]["seconds"]
            cells.append(f"{1e3 * seconds:,.1f} ms ({seconds / ours['seconds']:,.0f}x)")
        difference = max(abs(result["alpha"] - ours["alpha"]) for result in results.values())
        yield (
            f"| {kind} | {n} | " + " | ".join(cells) + f" | {ours['alpha']:.6f}, {difference:.1e} |"
        )


def models(folder: Path, quick: bool, rounds: int, threads: int) -> Iterator[str]:
    layers = 2 if quick else 12
    yield f"## A whole model: BERT-base, {layers} layers, random weights (seed 0)"
    yield ""
    state = folder / "bert.pt"
    results = race(
        {
            WEIGHTWATCHER: ("model_weightwatcher", state, layers),
            HEARSAY: ("model_hearsay", state, layers),
        },
        rounds,
        threads,
    )
    theirs, ours = results[WEIGHTWATCHER], results[HEARSAY]
    if theirs["alpha"].keys() != ours["alpha"].keys():
        sys.exit(f"other layers: {sorted(theirs['alpha'].keys() ^ ours['alpha'].keys())}")
    alphas = np.array([(ours["alpha"][name], theirs["alpha"][name]) for name in ours["alpha"]])
    yield "| | `WeightWatcher().analyze()` | `hearsay.spectral.audit` | |"
    yield "|---|---:|---:|---:|"
    yield speed_row(theirs, ours)
    yield memory_row(theirs, ours)
    yield f"| layers | {len(alphas)} | {len(alphas)} | |"
    yield f"| mean alpha | {alphas[:, 1].mean():.10f} | {alphas[:, 0].mean():.10f} | |"
    yield ""
    yield (
        f"Largest difference of a layer's alpha: {np.abs(np.diff(alphas)).max():.1e}. "
        "WeightWatcher leaves eigenvalues up to 1e-5 out of its fits; with the same threshold the "
        f"audit's alphas would change by at most {ours['threshold_effect']:.1e}."
    )


def matrices(folder: Path, quick: bool, rounds: int, threads: int) -> Iterator[str]:
    shape = (4096, 1024) if quick else (16_384, 4096)
    yield f"## Eigenvalues of one large matrix: {shape[0]} x {shape[1]}, float32"
    yield ""
    source = folder / "matrix.npy"
    np.save(source, np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    results = race(
        {
            WEIGHTWATCHER: ("matrix_weightwatcher", source),
            HEARSAY: ("matrix_hearsay", source),
        },
        rounds,
        threads,
    )
    theirs, ours = results[WEIGHTWATCHER], results[HEARSAY]
    values = np.array([theirs["eigenvalues"], ours["eigenvalues"]])
    yield "| | WeightWatcher's SVD | `hearsay.spectral.eigenvalues` | |"
    yield "|---|---:|---:|---:|"
    yield speed_row(theirs, ours)
    yield memory_row(theirs, ours)
    yield ""
    yield (
        f"The weight itself takes {4e-6 * shape[0] * shape[1]:.0f} MB. Largest relative difference "
        f"of an eigenvalue: {np.max(np.abs(values[1] / values[0] - 1)):.1e}."
    )


def speed_row(theirs: dict, ours: dict) -> str:
    return (
        f"| seconds, shortest (of {theirs['runs']} and {ours['runs']} runs) "
        f"| {theirs['seconds']:.2f} | {ours['seconds']:.2f} "
        f"| {theirs['seconds'] / ours['seconds']:.1f}x |"
    )


def memory_row(theirs: dict, ours: dict) -> str:
    return (
        f"| peak memory beyond weights and libraries, MB "
        f"| {theirs['megabytes']:.0f} | {ours['megabytes']:.0f} "
        f"| {theirs['megabytes'] / ours['megabytes']:.1f}x |"
    )


def circumstances(rounds: int, threads: int) -> Iterator[str]:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("numpy", "scipy", "torch", "pandas")
    ours = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    listing = subprocess.run(
        [PEERS / "bin" / "python", "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    installed = {entry["name"]: entry["version"] for entry in json.loads(listing.stdout)}
    names = ("weightwatcher", "powerlaw", "transformers", *packages)
    theirs = ", ".join(f"{name} {installed[name]}" for name in names)
    yield f"- {datetime.date.today()}; {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB"
    yield f"- Load average when it began: {os.getloadavg()[0]:.1f}"
    yield f"- Threads, for every contender: {threads}"
    yield f"- Python {platform.python_version()}; ours: {ours}"
    yield f"- Peers: {theirs}; {POWERLAW_2.replace('==', ' ')}"
    yield (
        f"- Contenders take turns, {rounds} rounds; the shortest time counts. One that needs more "
        f"than {LONG:.0f} s races in one round. Fits of milliseconds repeat for 0.5 s a round."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sections = {"fit": fits, "bert": models, "memory": matrices}
    parser.add_argument("--only", choices=sections, help="one section; only prints")
    parser.add_argument("--quick", action="store_true", help="small sizes; only prints")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="default: 2"
    )
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        name, answer, *arguments = options.task
        Path(answer).write_text(json.dumps(TASKS[name](*arguments)))
        return
    prepare_peers()
    lines = ["# Spectral audit against its peers", ""]
    lines += ["Recorded by `python benchmarks/spectral.py`; do not edit.", ""]
    lines += circumstances(options.rounds, options.threads)
    with tempfile.TemporaryDirectory() as folder:
        for name, section in sections.items():
            if options.only in (None, name):
                rows = section(Path(folder), options.quick, options.rounds, options.threads)
                lines += ["", *rows]
    text = "\n".join(lines) + "\n"
    print(text)
    if not options.quick and options.only is None:
        (HERE / "spectral.md").write_text(text)


if __name__ == "__main__":
    main()
