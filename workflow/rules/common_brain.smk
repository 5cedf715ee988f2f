"""What the rules of fMRI, decoding and its tables use: datasets, settings of each step, records."""

from hearsay.brain.recipes import (
    check_scored,
    controls_of,
    has_controls,
    ordered,
    part_of,
    recipe_of,
    records_of,
    settings_of,
    text_prompt_of,
)
from hearsay.corpora.openneuro import plan, size_text


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
    )


def fetch_plan(subject):
    """One line on what `fetch_subject` will pull, from the committed manifest; no network."""
    brain = settings.brain
    manifest = dataset_settings(brain.dataset).manifest
    if manifest is None:
        return f"{subject} of {brain.dataset}; sizes are known once it is cloned"
    asked = fetch_settings(subject)
    with told_by_snakemake():
        files = plan(ROOT / manifest, subject, asked["stories"], mask=asked["mask"])
    named = [("test_story", brain.test_story)]
    if not isinstance(brain.validation, int):
        named += [("validation", story) for story in brain.validation]
    for key, story in named:
        if story not in files.stories:
            raise WorkflowError(
                f"brain.{key}: {subject} has no story {story!r} in brain.stories and "
                f"{manifest}; there are: {', '.join(sorted(files.stories))}"
            )
    rows = sum(files.stories.values())
    return (
        f"{subject} of {brain.dataset}, {len(files.stories)} stories with {rows} rows, "
        f"{len(files.of('textgrid'))} TextGrids, {size_text(files.bytes())} on disk"
        # No manifest lists these.
        + "".join(f", and the raw scans of {story}" for story in asked["raw"])
    )


def prepare_settings():
    """What `prepare_stories` reads."""
    brain = settings.brain
    return dict(
        version=dataset_settings(brain.dataset).version,
        **brain.model_dump(include={"dataset", "stories", "test_story", "validation", "voxels"}),
    )


def voxels_file(subject):
    """The user's own file of voxels, if there is one; what lies in a clone comes with it."""
    voxels = settings.brain.voxels
    if voxels.method not in ("indices", "mask") or voxels.file is None or "{clone}" in voxels.file:
        return []
    return [voxels.file.replace("{subject}", subject)]


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
    return [f"{folder}/{name}.run.json" for name in records_of(settings.brain, subject)]


def stage1_of(setting):
    """The setting whose stage 1 this one builds on; equal stages are trained once."""
    return text_prompt_of(settings.brain, setting)


def decode_settings(setting):
    """What `decode_story` reads."""
    return dict(
        recipe=part_of(settings.brain, setting, "decode"),
        decoding=settings.brain.decoding.model_dump(),
        text=stage1_of(setting) == setting,
        controls=has_controls(settings.brain, setting),
        **settings.brain.model_dump(include={"device", "precision"}),
    )


def shown_setting():
    """The setting whose decoded text is shown: `bpgpt`, else the first that all subjects have."""
    trained = [settings_of(settings.brain, subject) for subject in settings.brain.subjects]
    shared = [name for name in ordered(settings.brain) if all(name in each for each in trained)]
    if settings.brain.subjects and not shared:
        raise WorkflowError("brain.settings_of: no setting is trained for all subjects")
    return "bpgpt" if "bpgpt" in shared else next(iter(shared), "bpgpt")


def brain_memory(setting=None):
    """Memory in MB of a step with BERT and GPT-2.

    On a CPU of a training's activations too; on GPUs each of its processes has its own.
    """
    brain = settings.brain
    models = weights_mb(brain.encoder) + weights_mb(brain.language_model)
    if brain.device != "cpu":
        return (brain.devices if setting else 1) * (6000 + 4 * models)
    windows = recipe_of(brain, setting).batch_size if setting else 1
    return 2000 + 4 * models + windows * weights_mb(brain.language_model) // 2


def score_settings(subject):
    """What `score_story` reads; refuses windows that it cannot score."""
    with told_by_snakemake():
        check_scored(settings.brain, subject)
    brain = settings.brain
    return dict(
        controls=controls_of(brain, subject),
        # The job asks for no GPU: it takes one that is there unless none is to be used.
        device="cpu" if brain.device == "cpu" else "auto",
        **brain.scores.model_dump(exclude={"bertscore"}),
    )
