"""Plain text made safe for LaTeX and Markdown (the page's template escapes HTML itself)."""

import re
import unicodedata

# What a paper's tables hold beyond ASCII, and LaTeX's own characters.
_TEX = {
    "α̂": r"$\hat{\alpha}$",
    "λmax": r"$\lambda_{\max}$",
    "‖W‖²": r"$\|W\|_F^2$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "τ": r"$\tau$",
    "σ": r"$\sigma$",
    "‖": r"$\|$",
    "²": r"$^2$",
    "∅": r"$\emptyset$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "’": "'",
    "“": "``",
    "”": "''",
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}
_TEX_PATTERN = re.compile("|".join(map(re.escape, sorted(_TEX, key=len, reverse=True))))
# Letters of Latin Extended-A that T1 has no glyph for: pdflatex stops at them.
_NOT_IN_T1 = frozenset("ĦħĸĿŀŉŦŧſ")
# Two characters that a font sets as another one, such as a dash for two hyphens.
_LIGATURES = frozenset(["--", "``", "''", ",,", "?`", "!`"])


def tex_text(text: str) -> str:
    """`text` for LaTeX (T1 or Unicode engines): special characters escaped, Greek as mathematics.

    Accents are composed (NFC), and what is no ligature in the text is none in print. A character
    that pdflatex would stop at, such as one beyond Latin, stands as its code, such as ``U+4E2D``.
    """
    parts, last = [], 0
    one_line = " ".join(unicodedata.normalize("NFC", text).split())
    for match in _TEX_PATTERN.finditer(one_line):
        parts += [*map(_latin, one_line[last : match.start()]), _TEX[match[0]]]
        last = match.end()
    parts += map(_latin, one_line[last:])
    # Within a part `--` is the dash that is meant.
    return "".join(
        f"{{}}{part}" if before[-1:] + part[:1] in _LIGATURES else part
        for before, part in zip(["", *parts], parts, strict=False)
    )


def tex_row(cells: list[str]) -> str:
    r"""Cells, each LaTeX already, as a row of a tabular.

    ``\\``, ``\midrule`` and others that end the line before would take a ``[`` or ``*`` that
    follows for an option of theirs.
    """
    row = " & ".join(cells) + r" \\"
    return f"{{}}{row}" if row.startswith(("[", "*")) else row


def markdown_text(text: str) -> str:
    """`text` for a cell or line of Markdown: nothing in it is markup, HTML or a new line."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    one_line = one_line.replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line)


def _latin(c: str) -> str:
    return c if c.isprintable() and ord(c) < 0x180 and c not in _NOT_IN_T1 else f"U+{ord(c):04X}"
