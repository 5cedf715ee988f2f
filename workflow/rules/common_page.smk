"""What the result page shows, as hearsay.paper.manifest describes it."""

import shlex


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
