"""The files that a request composes, read without Hydra: which are broken, which line sets a key, what is misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from hft.checksums import read_sealed
from hft.config.report import Finding
from hft.config.searchpath import packaged_folder, user_folders

# Words before the name of a group in a defaults list.
_KEYWORDS = ("override", "optional")


@dataclass(frozen=True)
class DefaultsEntry:
    """One line of a defaults list.

    Args:
        line: counted from 1.
        group: `data/splitter`; None where the entry names a config of the file's own group.
        options: what is chosen; empty for null.
        override: whether the word stands before the group.
        absolute: whether a slash does.
        has_package: whether the entry says with an @ where its option goes.
    """

    line: int
    group: str | None
    options: tuple[str, ...]
    override: bool = False
    absolute: bool = False
    has_package: bool = False


@dataclass(frozen=True)
class ComposedFile:
    """A file of a request.

    Args:
        path: the file.
        group: `loss`, empty for the primary config.
        package: dotted key under which its values go, empty for the top.
        is_own: whether it is the user's.
        root: its YAML nodes; None where it is no YAML mapping.
    """

    path: Path
    group: str
    package: str
    is_own: bool
    root: yaml.MappingNode | None = field(compare=False)

    def entries(self) -> Iterator[DefaultsEntry]:
        """Its defaults list."""
        for key, value in self.root.value if self.root is not None else ():
            if key.value == "defaults" and isinstance(value, yaml.SequenceNode):
                for entry in value.value:
                    yield _entry(entry, self.group)

    def line_of(self, key: str) -> int | None:
        """The line, counted from 1, that sets a dotted key of the composed config; None where none does."""
        if self.package and not key.startswith(f"{self.package}."):
            return None
        own = key.removeprefix(f"{self.package}.") if self.package else key
        return _line_in(self.root, own) if self.root is not None else None


def composed_files(config_name: str, choices: Mapping[str, Sequence[str]]) -> list[ComposedFile]:
    """The files of a request, in the order in which they are merged: the last that sets a key wins.

    Args:
        config_name: the primary config.
        choices: options of groups that take the place of those in defaults lists.
    """
    reader = _Reader(choices)
    reader.read("", config_name)
    for group, options in choices.items():
        for option in options:
            reader.read(group, option)
    return reader.files


def with_file(finding: Finding, files: Sequence[ComposedFile], named: Iterable[str]) -> Finding:
    """A finding that says which of the user's files sets its key, unless the command line does.

    Args:
        finding: as the check found it.
        files: as `composed_files` gives them.
        named: dotted keys that the command line sets.
    """
    if any(finding.where == name or finding.where.startswith(f"{name}.") for name in named):
        return finding
    last = next(((f, line) for f in reversed(files) if (line := f.line_of(finding.where)) is not None), None)
    if last is None or not last[0].is_own:
        return finding
    path = last[0].path
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    told = f"set in {shown}:{last[1]}"
    in_parentheses = finding.found.startswith("there is no such key (")
    found = f"{finding.found[:-1]}; {told})" if in_parentheses else f"{finding.found} ({told})"
    return replace(finding, found=found)


def groups_on_disk() -> list[str]:
    """Every group with a folder, those of Hydra itself left out."""
    folders = [*user_folders(), packaged_folder()]
    groups = {p.relative_to(folder).as_posix() for folder in folders for p in folder.rglob("*") if p.is_dir()}
    return sorted(group for group in groups if not group.startswith(("hydra", "__")))


class _Reader:
    def __init__(self, choices: Mapping[str, Sequence[str]]) -> None:
        self.files: list[ComposedFile] = []
        self._choices = choices
        self._seen: set[Path] = set()
        self._folders = [*((folder, True) for folder in user_folders()), (packaged_folder(), False)]

    def read(self, group: str, option: str) -> None:
        """Read a file and what its defaults list names; without `_self_` the file itself comes last."""
        name = f"{group}/{option}" if group else option
        paths = ((folder / f"{name.removesuffix('.yaml')}.yaml", own) for folder, own in self._folders)
        path, is_own = next(((p, own) for p, own in paths if p.is_file()), (None, False))
        if path is None or path in self._seen:
            return
        self._seen.add(path)
        text, root = _nodes(path)
        file = ComposedFile(path, group, _package(text, group), is_own, root)
        itself_done = False
        for entry in file.entries():
            if entry.group is None and entry.options == ("_self_",):
                self.files.append(file)
                itself_done = True
                continue
            target = group if entry.group is None else entry.group
            options = entry.options if entry.group is None else self._choices.get(target, entry.options)
            for chosen in options:
                if "$" not in chosen:
                    folder, _, last = f"{target}/{chosen}".strip("/").rpartition("/")
                    self.read(folder, last)
        if not itself_done:
            self.files.append(file)


def _line_in(node: yaml.Node, key: str) -> int | None:
    """The line of a dotted key below a node; a name may hold dots itself, as those of a search space do."""
    if isinstance(node, yaml.SequenceNode):
        first, _, rest = key.partition(".")
        if not first.isdigit() or int(first) >= len(node.value):
            return None
        value = node.value[int(first)]
        return _line_in(value, rest) if rest else int(value.start_mark.line) + 1
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key:
            return int(name.start_mark.line) + 1
        if key.startswith(f"{name.value}."):
            line = _line_in(value, key[len(name.value) + 1 :])
            if line is not None:
                return line
    return None


def _nodes(path: Path) -> tuple[str, yaml.MappingNode | None]:
    try:
        read_sealed(path)  # the best of a search bears its checksum
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return "", None
    return text, root if isinstance(root, yaml.MappingNode) else None


def _package(text: str, group: str) -> str:
    own = group.replace("/", ".")
    for line in text.splitlines():
        words = line.lstrip(" #").split()
        if line.strip() and not (line.lstrip().startswith("#") and words and words[0].startswith("@")):
            break  # Hydra reads no package line below anything else, a comment included
        if words[:1] == ["@package"] and len(words) > 1:
            return "" if words[1] == "_global_" else words[1].replace("_group_", own)
    return own


def _entry(node: yaml.Node, own_group: str) -> DefaultsEntry:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode) or not node.value:
        name = str(node.value)
        if name.startswith("/"):
            group, _, option = name.strip("/").rpartition("/")
            return DefaultsEntry(line, group, (option,), absolute=True)
        return DefaultsEntry(line, None, (name.split("@")[0],))
    key, value = node.value[0]
    words = str(key.value).split()
    name = next((word for word in words if word not in _KEYWORDS), "")
    chosen = value.value if isinstance(value, yaml.SequenceNode) else [value]
    options = tuple(str(n.value) for n in chosen if n.tag != "tag:yaml.org,2002:null")
    absolute = name.startswith("/")
    group = name.split("@")[0].strip("/")
    if not absolute and own_group:
        group = f"{own_group}/{group}"
    return DefaultsEntry(line, group, options, "override" in words, absolute, "@" in name)
