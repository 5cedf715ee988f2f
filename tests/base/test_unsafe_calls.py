"""No call in the source runs code that a file brings, and no rule hands the shell a bare value."""

import ast
import re
from pathlib import Path

import pytest

from hearsay.provenance import ROOT

FILES = [
    file
    for folder in ("workflow", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "__pycache__" not in file.parts
]
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))

# By the last parts of a call's name; of some the arguments make them safe.
FORBIDDEN = {
    "eval",
    "exec",
    "__import__",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "dill.load",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "pd.read_pickle",
    "pandas.read_pickle",
    "torch.hub.load",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
    "shutil.unpack_archive",
    "tempfile.mktemp",
}


def keyword(call, name):
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def unsafe(call):
    """Why a call is unsafe, or nothing."""
    name = ast.unparse(call.func)
    if name in FORBIDDEN or any(name.endswith(f".{each}") for each in FORBIDDEN if "." in each):
        return f"{name} runs what it is given"
    last = name.rpartition(".")[2]
    if name == "torch.load" and not is_constant(keyword(call, "weights_only"), True):
        return "torch.load without weights_only=True"
    if name in ("np.load", "numpy.load") and not is_constant(keyword(call, "allow_pickle"), False):
        return "np.load without allow_pickle=False"
    if keyword(call, "allow_pickle") is not None and is_constant(
        keyword(call, "allow_pickle"), True
    ):
        return f"{name} with allow_pickle=True"
    shell = keyword(call, "shell")
    if shell is not None and not is_constant(shell, False):
        return f"{name} with a shell"
    if last in ("extractall", "extract") and keyword(call, "filter") is None:
        return f"{name} without a filter"
    if last == "from_pretrained":
        if not is_constant(keyword(call, "trust_remote_code"), False):
            return f"{name} may run a model's own code, or ask: trust_remote_code=False"
        no_weights = any(kind in name for kind in ("Config", "Tokenizer", "Processor"))
        if not no_weights and not is_constant(keyword(call, "use_safetensors"), True):
            return f"{name} may read a pickle: use_safetensors=True"
    return ""


def found_in(text, where):
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [f"{where}:{call.lineno}: {why}" for call in calls if (why := unsafe(call))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_unsafe_call(file):
    assert found_in(file.read_text(encoding="utf-8"), file.name) == []


@pytest.mark.parametrize(
    "call",
    [
        "eval(x)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "pickle.load(f)",
        "yaml.load(f)",
        "subprocess.run(x, shell=True)",
        "subprocess.run(x, shell=y)",
        "os.system(x)",
        "archive.extractall(d)",
        "AutoModel.from_pretrained(d)",
        "AutoModel.from_pretrained(d, use_safetensors=True, trust_remote_code=True)",
    ],
)
def test_unsafe_calls_are_found(call):
    assert found_in(call, "") != []


@pytest.mark.parametrize(
    "call",
    [
        "model.eval()",
        "torch.load(f, weights_only=True)",
        "np.load(f, allow_pickle=False)",
        "yaml.safe_load(f)",
        "subprocess.run([x])",
        "archive.extractall(d, filter='data')",
    ],
)
def test_safe_calls_are_not(call):
    assert found_in(call, "") == []


# --- the shell ------------------------------------------------------------------------------------


def commands(text):
    """Line and text of every string in the `shell:` part of a rule."""
    lines = text.splitlines()
    inside = None
    for number, line in enumerate(lines, start=1):
        indent = len(line) - len(line.lstrip())
        if line.strip() in ("shell:", "run:", "script:", "notebook:", "wrapper:"):
            assert line.strip() == "shell:", f"line {number}: only shell: is checked"
            inside = indent
        elif inside is not None and line.strip():
            if indent <= inside:
                inside = None
            else:
                yield number, line.strip()


def bare(command):
    """Placeholders that reach the shell unquoted."""
    return [
        found
        for found in re.findall(r"\{[^{}]*\}", command)
        if not found.endswith(":q}") and found != "{threads}"
    ]


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_every_value_in_a_command_is_quoted(file):
    text = file.read_text(encoding="utf-8")
    wrong = [f"line {n}: {found}" for n, line in commands(text) for found in bare(line)]
    assert wrong == []
    assert len(re.findall(r"^\s+shell:", text, re.M)) == len(
        re.findall(r'"python -m hearsay\.step ', text)
    )
    assert not re.search(r"^\s+shell:[^\n]*\S", text, re.M)  # what would be passed over here
    assert not re.search(r"\bshell\((?!\.prefix)", text)


def test_commands_are_single_plain_strings():
    """No f-string and no quotation marks of the shell, in which :q would be no protection."""
    for file in RULES:
        for number, line in commands(file.read_text(encoding="utf-8")):
            assert re.fullmatch(r'"[^"\'`$;|&]*"', line), f"{file.name}, line {number}: {line}"


def test_a_bare_value_is_found():
    rule = 'rule a:\n    shell:\n        "cat {input:q} {wildcards.x} {threads}"\n    # end\n'
    assert [bare(line) for _, line in commands(rule)] == [["{wildcards.x}"]]


def test_all_rules_were_seen():
    assert len(RULES) >= 15
    assert sum(len(list(commands(f.read_text(encoding="utf-8")))) for f in RULES) > 100
    assert Path(ROOT / "Snakefile").read_text(encoding="utf-8").count("shell:") == 0
