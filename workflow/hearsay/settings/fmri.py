"""fMRI datasets."""

from pydantic import Field, model_validator

from hearsay.settings.closed import Address, Closed, Subject


class SimulatedDataset(Closed):
    """An fMRI dataset made here: generated stories, BOLD simulated from their words."""

    subjects: dict[Subject, float] = Field(
        description="signal-to-noise (ratio of variances) in the auditory voxels, by subject"
    )
    stories: int = Field(11, ge=4, le=20, description="training stories")
    seconds: int = Field(300, ge=60, multiple_of=2, description="how long each of them is")
    test_seconds: int = Field(600, ge=60, multiple_of=2, description="the same for the test story")
    voxels: int = Field(600, ge=50, description="columns of the responses, about")
    repeats: int = Field(3, ge=1, description="presentations of the test story")
    seed: int = Field(0, ge=0, description="of sentences and noise")


class FmriDataset(Closed):
    """A git-annex dataset in ds003020's layout. Name exactly one of source, simulated."""

    source: Address | None = Field(None, description="address or path of the repository")
    version: str = Field(pattern=r"^[^-]", description="tag or commit")
    manifest: str | None = Field(
        None,
        description="files, sizes, checksums and S3 versions, so that a dry run and the plain "
        "download need no clone; relative to the repository's root",
    )
    jobs: int = Field(4, ge=1, description="files fetched at once")
    simulated: SimulatedDataset | None = Field(None, description="make it here instead")

    @model_validator(mode="after")
    def _one_source(self) -> "FmriDataset":
        if (self.source is None) == (self.simulated is None):
            raise ValueError("name exactly one of source, simulated")
        return self
