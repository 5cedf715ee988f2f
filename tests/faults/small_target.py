"""The audit of one small net of the demo, made in a folder elsewhere than the checkout."""

from pathlib import Path

SUMMARY = "results/demo/spectral/summary.csv"


def arguments(folder: Path, *, epochs: int = 8) -> list[str | Path]:
    """Snakemake's, for this target in this folder."""
    config = folder / "one.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    if not config.exists():
        config.write_text(
            "spectral: {models: [digits-2], pair: null, esd: null}\n"
            f"models: {{digits-2: {{digits: {{layers: 2, epochs: {epochs}}}, series: digits}}}}\n"
        )
    demo = ["--configfile", "config/demo.yaml", config, "--directory", folder]
    return [*demo, "--cores", "1", "spectral"]
