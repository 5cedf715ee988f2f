"""Plain text made safe for LaTeX and Markdown (the page's template escapes HTML itself)."""

import re

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


def tex_text(text: str) -> str:
    """`text` for LaTeX (T1 or Unicode engines): special characters escaped, Greek as mathematics.

    A character beyond Latin that pdflatex would stop at stands as its code, such as ``U+4E2D``.
    """

    parts, last = [], 0
    one_line = " ".join(text.split())
    for match in _TEX_PATTERN.finditer(one_line):
        parts += [_latin(one_line[last : match.start()]), _TEX[match[0]]]
        last = match.end()
    return "".join([*parts, _latin(one_line[last:])])


def markdown_text(text: str) -> str:
    """`text` for a cell or line of Markdown: nothing in it is markup, HTML or a new line."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    one_line = one_line.replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line)


def _latin(text: str) -> str:
    return "".join(c if c.isprintable() and ord(c) < 0x180 else f"U+{ord(c):04X}" for c in text)
