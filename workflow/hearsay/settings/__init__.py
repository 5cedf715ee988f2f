"""Every setting of the workflow, as closed models: an unknown key is an error.

`config/schema.json` and the table in `config/README.md` are made from here by
``python -m hearsay.settings_documents --write``. Settings carry no logic, so that editing them
reruns no step: a step sees only the values that its rule hands it.
"""

from pydantic import Field

from hearsay.settings.asr import Recognition
from hearsay.settings.brain import Brain
from hearsay.settings.closed import Closed, Name, Place
from hearsay.settings.fmri import FmriDataset
from hearsay.settings.languages import Language
from hearsay.settings.lm import LanguageModels
from hearsay.settings.models import PretrainedModel
from hearsay.settings.slu import Understanding
from hearsay.settings.spectral import Spectral
from hearsay.settings.speech import SpeechCorpus
from hearsay.settings.text import TextCorpus


class Folders(Closed):
    """Where files go; relative to the working directory (`snakemake --directory`)."""

    results: Place = Field("results/paper", description="scores, tables, figures, the result page")
    logs: Place = Field("logs/paper", description="one log a job")
    benchmarks: Place = Field("logs/paper/benchmarks", description="time and memory of every job")
    resources: Place = Field(
        "resources", description="everything downloaded; shared by all results"
    )


class Settings(Closed):
    """The whole configuration."""

    pathvars: Folders = Field(Folders(), description="folders")
    container: str | None = Field(
        None,
        description="image with the packages of envs/constraints.txt in which steps run under "
        "`--software-deployment-method apptainer`, such as `docker://you/hearsay:1` or a .sif file",
    )
    step_server: bool = Field(
        False,
        description="of a run on this machine: one process keeps the libraries that steps import, "
        "and forks for each step of one thread. Saves a third of the demo's time, little of a long "
        "step's. Linux without a GPU only; elsewhere a warning says so and steps run as ever",
    )
    models: dict[Name, PretrainedModel] = Field({}, description="networks, by name")
    spectral: Spectral = Field(Spectral(), description="the audit")
    fmri_datasets: dict[Name, FmriDataset] = Field({}, description="fMRI datasets, by name")
    brain: Brain = Field(Brain(), description="decoding from fMRI")
    text_corpora: dict[Name, TextCorpus] = Field({}, description="corpora of text, by name")
    lm: LanguageModels = Field(LanguageModels(), description="language models")
    languages: dict[Name, Language] = Field(
        {}, description="alphabets of languages besides en, de, es, ru, by a language's code"
    )
    speech_corpora: dict[Name, SpeechCorpus] = Field({}, description="corpora of speech, by name")
    asr: Recognition = Field(Recognition(), description="speech recognition")
    slu: Understanding = Field(
        Understanding(), description="speech aligned to BERT, and sentiments"
    )
