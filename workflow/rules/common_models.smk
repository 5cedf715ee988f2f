"""What every rules file knows of a model: its settings, where its weights lie, how large they are."""


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
