"""WordNet's synonyms, where its files are found; METEOR asks for them.

NLTK's reader wants its own layout: a file `lexnames` that Debian's package leaves out, in a folder
on NLTK's search path that holds no link out of it. The files are therefore copied (28 MB) into a
temporary folder that goes with the object.
"""

import shutil
import tempfile
import warnings
from pathlib import Path

from hearsay.errors import InputError

SYSTEM_FOLDER = Path("/usr/share/wordnet")
NO_WORDNET = "none"
READ_FILES = [
    f"{kind}.{part}" for part in ("noun", "verb", "adj", "adv") for kind in ("index", "data")
] + [f"{part}.exc" for part in ("noun", "verb", "adj", "adv")]

# The lexicographer files of WordNet 3.0 in the order of their numbers 00 to 44; lexnames(5WN).
_NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group "
    "location motive object person phenomenon plant possession process quantity relation shape "
    "state substance time"
)
_VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion "
    "perception possession social stative weather"
)
LEXICOGRAPHER_FILES = [
    "adj.all",
    "adj.pert",
    "adv.all",
    *(f"noun.{name}" for name in _NOUNS.split()),
    *(f"verb.{name}" for name in _VERBS.split()),
    "adj.ppl",
]
_CATEGORY = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}


def find_wordnet(setting: str | None = None) -> Path | None:
    """Folder with WordNet's database files, or None where there is none.

    `setting` is a folder; None looks in `SYSTEM_FOLDER` (Debian's package ``wordnet-base``), and
    ``"none"`` asks for no WordNet, which gives the same scores on every machine.

    Raises InputError for a named folder without the files.
    """
    if setting == NO_WORDNET:
        return None
    folder = Path(setting) if setting else SYSTEM_FOLDER
    missing = [name for name in READ_FILES if not (folder / name).is_file()]
    if not missing:
        return folder
    if setting:
        raise InputError(
            f"{folder}: no WordNet database, {missing[0]} is missing; give the folder that holds "
            f"the files of WordNet 3.0 (dict/ of its archive), or {NO_WORDNET!r} to do without"
        )
    return None


def lexnames() -> str:
    """Content of WordNet's file `lexnames`: number, name and category of 45 files."""
    return "".join(
        f"{number:02d}\t{name}\t{_CATEGORY[name.partition('.')[0]]}\n"
        for number, name in enumerate(LEXICOGRAPHER_FILES)
    )


class WordNet:
    """WordNet's synonyms of a word, each word looked up once.

    Parameters
    ----------
    folder : as `find_wordnet` gives it. Inflected words are found by NLTK's ``morphy``.
    """

    def __init__(self, folder: Path) -> None:
        import nltk
        from nltk.corpus.reader.wordnet import WordNetCorpusReader

        class EnglishReader(WordNetCorpusReader):
            def map_wn(self, version: str = "wordnet") -> dict[str, str]:
                """Other languages would need this map, and `index.sense`, which is not there."""
                return {}

        self._copy = tempfile.TemporaryDirectory(prefix="wordnet-")
        root = Path(self._copy.name).resolve() / "corpora" / "wordnet"
        root.mkdir(parents=True)
        for name in [*READ_FILES, "cntlist.rev"]:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, root / name)
        (root / "lexnames").write_text(lexnames(), encoding="utf-8")
        nltk.data.path.append(str(root.parent.parent))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The multilingual functions")
            self.reader = EnglishReader(str(root), None)
        self._found: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """Single-word lemmas of all senses of `word`, as WordNet writes them; empty if unknown."""
        if word not in self._found:
            self._found[word] = frozenset(
                lemma.name()
                for synset in self.reader.synsets(word)
                for lemma in synset.lemmas()
                if "_" not in lemma.name()
            )
        return self._found[word]
