"""What every rules file uses: settings, code digests, the command that runs a step."""

import json
import os
import shlex
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
# A profile may have imported the installed library: rules and digests are this checkout's.
for name in [name for name in sys.modules if name.partition(".")[0] == "hearsay"]:
    del sys.modules[name]

from hearsay.brain.recipes import (
    controls_of,
    ordered,
    part_of,
    recipe_of,
    settings_of,
    text_prompt_of,
)
from hearsay.cluster.steady import check_status_command, make_steady
from hearsay.config import load
from hearsay.corpora.openneuro import plan, size_text
from hearsay.errors import InputError
from hearsay.future_times import mend_future_times
from hearsay.profiles import array_rules, check_arrays, check_profile, options_of, profiles_of
from hearsay.provenance import code_of as digest_of
from hearsay.step import share_with_jobs


@contextmanager
def told_by_snakemake():
    """Hand what a user can put right to Snakemake, which shows the message without a traceback."""
    try:
        yield
    except InputError as error:
        raise WorkflowError(str(error)) from None


with told_by_snakemake():
    settings = load(
        config,
        files=[ROOT / "config" / "config.yaml", *workflow.overwrite_configfiles],
        overrides=workflow.config_settings.config,
    )

share_with_jobs(python=not workflow.deployment_settings.deployment_method)

# Every rule's command is one step. `exec` puts it in the shell's place, so that a SIGTERM before a
# job's time limit reaches the training loop, which saves and exits.
shell.prefix("exec ")


if settings.container:

    container: settings.container


# Names are parts of paths: none of them spans folders.
wildcard_constraints:
    model="[^/]+",
    dataset="[^/]+",
    subject="[^/]+",
    setting="[^/]+",
    story="[^/]+",
    corpus="[^/]+",
    run="[^/]+",
    seed=r"\d+",
    language="[^/]+",
    part="[^/]+",
    archive="[^/]+",


# Committed lists of a dataset's files, by which a dry run plans without network.
MANIFESTS = [dataset.manifest for dataset in settings.fmri_datasets.values() if dataset.manifest]


for name in MANIFESTS:
    if ".." in Path(name).parts or not (ROOT / name).is_file():
        raise WorkflowError(
            f"fmri_datasets: manifest {name!r} is no file of the repository; correct it, or set it "
            "to null"
        )


def code_of(step, *files):
    """Digest of a step's code, made when a job needs it: a Slurm job digests its own step only."""
    return lambda wildcards: digest_of(step, *files)


def table_path(table):
    """A table that a setting names: in the working directory, else in the repository."""
    return Path(table) if os.path.exists(table) else ROOT / table


def as_json(**values):
    """Values for a step's --settings, in one order, so that equal settings are equal params."""
    return json.dumps(values, sort_keys=True)


def model_settings(model, *kinds):
    """The settings of a model, which is one of `kinds` (`hub`, `url`, … `tiny_speech`) if any are given."""
    if model not in settings.models:
        raise ValueError(f"no model {model!r}; there are: {', '.join(settings.models)}")
    source = settings.models[model]
    if kinds and all(getattr(source, kind) is None for kind in kinds):
        raise ValueError(f"models.{model} is none of: {', '.join(kinds)}")
    return source


def weights_of(model):
    """File or folder that holds a model's weights."""
    source = model_settings(model)
    if source.path is not None:
        return source.path
    if source.digits is not None:
        return f"<results>/models/{model}.safetensors"
    if source.tiny is not None:
        return f"<results>/models/tiny/{model}"
    if source.tiny_speech is not None:
        return f"<results>/models/speech/{model}"
    return f"<resources>/models/{model}"


def weights_mb(model):
    """Size of a model's weights in MB: by its settings, as they lie on disk, or a large BERT's."""
    source, folders = model_settings(model), settings.pathvars
    if source.digits is not None:
        return 1 + 36 * source.digits.layers * source.digits.channels**2 // 10**6
    if (small := source.tiny or source.tiny_speech) is not None:
        return 1 + 4 * (12 * small.layers * small.width + 5000) * small.width // 10**6
    path = weights_of(model).replace("<results>", folders.results)
    path = Path(path.replace("<resources>", folders.resources))
    files = [file for file in [path, *path.rglob("*")] if file.is_file()]
    return sum(file.stat().st_size for file in files) // 10**6 if files else 1500


def grown(value):
    """A resource for the first attempt, and as much again for the second and for all others.

    `value` is a number (MB of memory), a time such as "2h", or a function of the wildcards. Steps
    that train do not grow in time, since they go on where the time limit cut them off; they may need
    many attempts, which must not end with more memory than any node has.
    """
    if isinstance(value, str):
        value = int(value[:-1]) * {"m": 1, "h": 60}[value[-1]]
    return lambda wildcards, attempt: (
        min(attempt, 3) * (value(wildcards) if callable(value) else value)
    )


def dataset_settings(dataset):
    """The settings of an fMRI dataset."""
    if dataset not in settings.fmri_datasets:
        known = ", ".join(settings.fmri_datasets) or "none"
        raise ValueError(f"no fMRI dataset {dataset!r}; there are: {known}")
    return settings.fmri_datasets[dataset]


def dataset_source(dataset, input):
    """Address or path that a dataset is cloned from."""
    if dataset_settings(dataset).simulated:
        return input[0].removesuffix(".run.json")
    return dataset_settings(dataset).source


def fetch_settings(subject):
    """What is fetched for one subject: this much and no more."""
    brain, dataset = settings.brain, dataset_settings(settings.brain.dataset)
    return dict(
        dataset=brain.dataset,
        version=dataset.version,
        manifest=dataset.manifest,
        stories=brain.stories,
        raw=brain.raw.get(subject, []),
        mask=brain.voxels.method == "mask" or subject in brain.raw,
        jobs=dataset.jobs,
    )


def fetch_plan(subject):
    """One line on what `fetch_subject` will pull, from the committed manifest; no network."""
    brain = settings.brain
    manifest = dataset_settings(brain.dataset).manifest
    if manifest is None:
        return f"{subject} of {brain.dataset}; sizes are known once it is cloned"
    with told_by_snakemake():
        files = plan(ROOT / manifest, subject, brain.stories, mask=brain.voxels.method == "mask")
    rows = sum(files.stories.values())
    return (
        f"{subject} of {brain.dataset}, {len(files.stories)} stories with {rows} rows, "
        f"{len(files.of('textgrid'))} TextGrids, {size_text(files.bytes())} on disk"
    )


def prepare_settings():
    """What `prepare_stories` reads."""
    brain = settings.brain
    return dict(
        version=dataset_settings(brain.dataset).version,
        **brain.model_dump(include={"dataset", "stories", "test_story", "validation", "voxels"}),
    )


def recipe_settings(setting, part):
    """What a training of one setting reads."""
    brain = settings.brain
    return dict(
        recipe=part_of(brain, setting, part),
        **brain.model_dump(include={"device", "devices", "precision"}),
    )


def brain_records(subject):
    """Run records behind one subject's scores, in the order in which they were made."""
    folder = f"<results>/brain/{subject}"
    names = ["present", "windows", "word_rate"]
    for setting in settings_of(settings.brain, subject):
        if stage1_of(setting) == setting:
            names.append(f"{setting}/text_prompt")
        names += [f"{setting}/fmri_prompt", f"{setting}/decoded"]
    return [f"{folder}/{name}.run.json" for name in [*names, "scores"]]


def stage1_of(setting):
    """The setting whose stage 1 this one builds on; equal stages are trained once."""
    return text_prompt_of(settings.brain, setting)


def decode_settings(setting):
    """What `decode_story` reads; a control has no controls of its own."""
    recipe = part_of(settings.brain, setting, "decode")
    return dict(
        recipe=recipe,
        decoding=settings.brain.decoding.model_dump(),
        text=stage1_of(setting) == setting,
        controls=recipe["input"] == "fmri"
        and setting in (settings.brain.controls or settings.brain.settings),
        device=settings.brain.device,
    )


def shown_setting():
    """The setting whose decoded text is shown: `bpgpt`, else the first that all subjects have."""
    trained = [settings_of(settings.brain, subject) for subject in settings.brain.subjects]
    shared = [name for name in ordered(settings.brain) if all(name in each for each in trained)]
    if settings.brain.subjects and not shared:
        raise WorkflowError("brain.settings_of: no setting is trained for all subjects")
    return "bpgpt" if "bpgpt" in shared else next(iter(shared), "bpgpt")


def brain_memory(setting=None):
    """Memory in MB of a step with BERT and GPT-2; of a training's activations too, on a CPU."""
    brain = settings.brain
    models = weights_mb(brain.encoder) + weights_mb(brain.language_model)
    if brain.device != "cpu":
        return 6000 + 4 * models
    windows = recipe_of(brain, setting).batch_size if setting else 1
    return 2000 + 4 * models + windows * weights_mb(brain.language_model) // 2


def score_settings(subject):
    """What `score_story` reads."""
    scores = settings.brain.scores.model_dump(exclude={"bertscore"})
    return dict(controls=controls_of(settings.brain, subject), **scores)


def page_items(results, tables, figures):
    """The page's items of one paper, from the names, labels and titles of what was made."""
    return [
        {
            "label": label,
            "title": title,
            kind: f"{results}/{kind}s/{name}.{'json' if kind == 'table' else 'svg'}",
            "caption": f"{name}.rst",
            "record": f"{results}/{kind}s/{name}.run.json",
            "files": [f"{results}/{kind}s/{name}.{ending}" for ending in endings],
        }
        for kind, shown, endings in (
            ("table", tables, ("csv", "md", "tex")),
            ("figure", figures, ("svg", "png")),
        )
        for name, (label, title) in shown.items()
    ]


def system_of(record, results):
    """The system that a run record is shown with; of speech by what its corpus is for."""
    folder, *others = os.path.relpath(record, results).split(os.sep)
    if folder != "speech":
        return folder
    return "slu" if settings.speech_corpora[others[0]].kind in ("timit", "slue") else "asr"


def usage_report():
    """What jobs cost, for the page, once `python -m hearsay.cluster usage` has written it."""
    there = os.path.exists(os.path.join(settings.pathvars.results, "usage.csv"))
    return "<results>/usage.csv" if there else []


def command_of_this_run():
    """Snakemake with the configuration of this run, as told from the clone's root."""
    command, root = ["snakemake", "--cores", "1"], ROOT.resolve()
    files = [Path(file).resolve() for file in workflow.overwrite_configfiles]
    if files:
        command += ["--configfile"]
        for file in files:
            inside = file.is_relative_to(root)
            command += [str(file.relative_to(root) if inside else os.path.relpath(file))]
    if overrides := workflow.config_settings.config:
        command += ["--config", *[f"{key}={json.dumps(overrides[key])}" for key in overrides]]
    return shlex.join(command)


def spoken_examples():
    """Generated speech for the page to play, by system: parts of corpora, and name and file of what
    was heard in each."""
    shown = {"asr": [], "slu": []}
    for language in ASR_LANGUAGES:
        runs = asr_runs(language)[:1]
        tests = [part for run in runs for part in asr_tests(recogniser(language, run))]
        for part in [part for part in tests if settings.speech_corpora[part.corpus].generated][:1]:
            names = [f"{run}, seed {seed}" for run, seed in asr_trainings(language)]
            shown["asr"].append((part, list(zip(names, asr_outputs(language, "transcripts.csv")))))
    for part in JUDGED:
        if settings.speech_corpora[part.corpus].generated and aligner_trainings():
            times = [
                (f"{run}, seed {seed}", word_times_of(run, seed, part))
                for run, seed in aligner_trainings()
            ]
            shown["slu"].append((part, [("the corpus", reference_of(part)), *times]))
    return shown


def page_clips(results, system, number):
    """Examples of one system, `number` of each part, as hearsay.paper.manifest describes them."""
    return [
        {
            "title": part.name,
            "manifest": manifest_of(part).replace("<results>", results),
            "heard": [(name, path.replace("<results>", results)) for name, path in heard],
            "test": part.name,
            "number": number,
        }
        for part, heard in spoken_examples()[system]
    ]


def page_manifest(results, records, usage):
    """What the page shows, in the form that hearsay.paper.manifest describes."""
    brain = {
        "id": "bpgpt",
        "title": "BP-GPT: Auditory Neural Decoding Using fMRI-prompted LLM",
        "authors": "Chen et al., 2025",
        "text": "bpgpt.rst",
        "items": page_items(results, BPGPT_TABLES, {}),
        "records": [path for path in records if system_of(path, results) == "brain"],
    }
    egru = {
        "id": "egru",
        "title": "An efficient RNN Language Model using activity sparsity and sparse "
        "back-propagation through time",
        "authors": "Schöne et al., 2023",
        "text": "egru.rst",
        "items": page_items(results, EGRU_TABLES, EGRU_FIGURES),
        "records": [path for path in records if system_of(path, results) == "lm"],
    }
    asr = {
        "id": "asr",
        "title": "Cross-Language Transfer Learning, Continuous Learning, and Domain Adaptation for "
        "End-to-End Automatic Speech Recognition",
        "authors": "Huang et al., 2020",
        "text": "asr.rst",
        "items": page_items(results, ASR_TABLES, ASR_FIGURES),
        "records": [path for path in records if system_of(path, results) == "asr"],
        "clips": page_clips(results, "asr", number=1),
    }
    wabert = {
        "id": "wabert",
        "title": "WaBERT: A Low-resource End-to-end Model for Spoken Language Understanding and "
        "Speech-to-BERT Alignment",
        "authors": "Yao et al., 2022",
        "text": "wabert.rst",
        "items": page_items(results, WABERT_TABLES, WABERT_FIGURES),
        "records": [path for path in records if system_of(path, results) == "slu"],
        "clips": page_clips(results, "slu", number=2),
    }
    audit = {
        "id": "audit",
        "title": "The capacity metrics of every model trained here",
        "authors": "in none of the five papers",
        "text": "audit.rst",
        "items": page_items(results, AUDIT_TABLES, AUDIT_FIGURES),
        "records": [path for path in records if "/spectral/trained/" in path],
    }
    sections = [brain, asr, wabert, egru]
    others = [path for section in [*sections, audit] for path in section["records"]]
    capacity = {
        "id": "capacity",
        "title": "Universality and Capacity Metrics in Deep Neural Networks",
        "authors": "Martin and Mahoney, 2019",
        "text": "capacity.rst",
        "items": page_items(results, CAPACITY_TABLES, CAPACITY_FIGURES),
        "records": [path for path in records if path not in others],
    }
    return as_json(
        title="hearsay",
        configuration=os.path.basename(results),
        about="workflow.rst",
        usage=usage or None,
        command=command_of_this_run(),
        sections=[section for section in [*sections, capacity, audit] if section["items"]],
    )


def check_profiles():
    """Refuse misspelt keys and rules in the profiles given on this command line."""
    import snakemake.cli

    with told_by_snakemake():
        for file in profiles_of(sys.argv[1:], snakemake.cli) if workflow.is_main_process else []:
            check_profile(file, options_of(snakemake.cli), [rule.name for rule in workflow.rules])


def check_python_path():
    """Refuse a cluster run that could not start: the Slurm plugin does not quote Python's path."""
    if " " in sys.executable and not workflow.executor_plugin.common_settings.local_exec:
        raise WorkflowError(
            f"{sys.executable}: Slurm jobs cannot start a Python whose path holds a space; "
            "put the environment elsewhere, such as: make install VENV=$HOME/hearsay-env"
        )


def check_job_arrays():
    """Refuse arrays that a limit may cut short: Snakemake would wait for their jobs for ever."""
    selected = getattr(workflow.executor_settings, "array_jobs", None)
    if not selected:
        return
    waiting = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    limits = workflow.global_resources
    limited = {}
    for job in waiting:
        asked = {name for name in limits if name[0] != "_" and job.resources.get(name)}
        limited.setdefault(job.rule.name, set()).update(asked)
    with told_by_snakemake():
        check_arrays(
            array_rules(selected),
            Counter(job.rule.name for job in waiting),
            workflow.nodes,
            limited,
        )


def make_slurm_steady():
    """Wait for a Slurm that is away for a while; refuse one whose states cannot be asked for."""
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    options = workflow.executor_settings
    if plugin is None or not isinstance(options, plugin.ExecutorSettings):
        return
    with told_by_snakemake():
        check_status_command(options.status_command)
    make_steady(plugin)


def mend_times():
    """Set files that a wrong clock has put into the future to the present, and say so."""
    mended = mend_future_times([settings.pathvars.results, settings.pathvars.resources])
    if mended:
        logger.warning(
            f"{len(mended)} files had times in the future, such as {mended[-1]}: set to now; is a "
            "clock wrong, here or on the file server?"
        )


onstart:
    check_python_path()
    check_job_arrays()
    make_slurm_steady()
    mend_times()
