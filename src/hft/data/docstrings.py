"""Docstrings of a tree of Python source, read with ast: nothing is imported, no code runs."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Not about a library's use, or not part of the standard library.
_SKIPPED_FOLDERS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "__pycache__", "_bundled"}
)

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """A docstring and where it stands.

    Args:
        module: dotted name of the module.
        name: dotted name of the object inside the module; empty for the module itself.
        text: the docstring, its indentation cleaned.
    """

    module: str
    name: str
    text: str


def docstrings(root: Path) -> Iterator[Docstring]:
    """All docstrings below a folder, by module and line. Files that cannot be parsed are passed over."""
    for path in sorted(source_files(root), key=lambda file: file.relative_to(root).as_posix()):
        try:
            source = path.read_bytes()
            if b'"""' not in source and b"'''" not in source:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in old source are not our business
                tree = ast.parse(source)
        except (OSError, SyntaxError, ValueError):
            continue
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield from _documented(tree, module, "")


def source_files(root: Path) -> Iterator[Path]:
    """The Python files below a folder whose docstrings are read."""
    for path in root.iterdir():
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS and path.name.isidentifier():
                yield from source_files(path)
        elif path.suffix == ".py" and path.stem.isidentifier():
            yield path


def _documented(node: _Documented, module: str, name: str) -> Iterator[Docstring]:
    text = _docstring(node)
    if text is not None:
        yield Docstring(module, name, inspect.cleandoc(text))
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(child, module, f"{name}.{child.name}" if name else child.name)


def _docstring(node: _Documented) -> str | None:
    if not node.body or not isinstance(node.body[0], ast.Expr):
        return None
    value = node.body[0].value
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


_PARAGRAPH = re.compile(r"\n\s*\n")
_PROMPT = re.compile(r"^\s*(>>>|\.\.\.)")
_SIGNATURES = re.compile(
    r":[a-z:]+:`[^`]*`"  # a cross-reference: :func:`open`
    r"|(?:\b(?:def|class)\s+)?"  # a call or definition: open(file, mode="r") -> IO[str]
    r"[A-Za-z_][\w.]*\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)(?:\s*->\s*\w+(?:[.\[]\w+\]?)*)?"
    r"|\b[A-Za-z_]\w+(?:\.[A-Za-z_]\w+)+\b"  # a dotted name: os.path (but not e.g. and i.e.)
)
_WORD = re.compile(r"\w+")
_MARKUP = re.compile(r"[`*_=\-~#]{2,}|(?<!\w)[`*](?=\s)")
_BLANK_BEFORE_MARK = re.compile(r"\s+([.,;:!?)])")


def query_and_item(docstring: Docstring) -> tuple[str, str]:
    """(first paragraph, the rest), so that the two cannot be matched by the documented object's name.

    From the rest go its own name, those of its classes and its module (as whole words, in upper and lower
    case), and interactive examples as a whole; from both goes all that looks like a call, a signature or a
    dotted name.
    """
    parts = _PARAGRAPH.split(docstring.text, maxsplit=1)
    first, rest = parts[0], parts[1] if len(parts) == 2 else ""
    names = {part.strip("_").casefold() for part in f"{docstring.module}.{docstring.name}".split(".")}
    without_calls = _SIGNATURES.sub(" ", _without_examples(rest))
    nameless = _WORD.sub(lambda word: " " if word[0].strip("_").casefold() in names else word[0], without_calls)
    return _plain(_SIGNATURES.sub(" ", first)), _plain(nameless)


def _without_examples(text: str) -> str:
    """The text without interactive examples: from a prompt to the next blank line."""
    kept = []
    inside = False
    for line in text.split("\n"):
        inside = bool(_PROMPT.match(line)) or (inside and bool(line.strip()))
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def _plain(text: str) -> str:
    words = " ".join(_MARKUP.sub(" ", text).split())
    return _BLANK_BEFORE_MARK.sub(r"\1", words).strip(" -:;,")
