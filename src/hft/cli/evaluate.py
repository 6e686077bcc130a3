"""`hft evaluate RUN|MODEL`: should I fine-tune at all; and what did a run gain, also on other data?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.data.text_declaration import TextDeclaration
    from hft.experiments import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft evaluate`."""
    parser.add_argument(
        "subject",
        metavar="RUN|MODEL",
        help="a run (folder, id or name); or a model: an option of the group `model`, a folder, or a hub id",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides, for example data=sessions ...")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--trust", metavar="TARGET", action="append", default=[], help="as in hft reproduce")
    parser.add_argument("--report", metavar="DIR", help="write report.json and pictures there too")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the table of one model, or of a run's starting and tuned model."""
    config, tuned, texts = _request(args)
    from hft.evaluate import evaluate

    found = evaluate(config, tuned, texts=texts).to_dict()
    if args.report:
        from hft.reporting import save_pictures, write_report

        write_report(found, args.report)
        save_pictures(found, Path(args.report) / "pictures")
    if args.json:
        import json

        print(json.dumps(found, indent=2))
        return 0
    from hft.reporting import print_report

    print_report(found)
    return 0


def _request(args: argparse.Namespace) -> tuple[DictConfig, Path | None, TextDeclaration | None]:
    """The config to evaluate, and where a run is evaluated the folder of its tuned model and the texts it declares."""
    from hft.config import check, compose
    from hft.errors import RunNotFoundError

    options = _model_options()
    override = _model_override(args.subject, options, args.overrides)
    if override is not None:
        overrides = [f"outputs={_quoted(args.outputs)}", *override, *args.overrides]
        report = check(overrides, multirun=False)
        report.raise_errors()
        for warning in report.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        return compose(overrides), None, None
    from hft.experiments import find_run

    try:
        record = find_run(args.subject, args.outputs)
    except RunNotFoundError as error:
        raise RunNotFoundError(f"{error}\n{_no_model_either(args.subject, options)}") from error
    return _of_run(args, record)


def _of_run(args: argparse.Namespace, record: RunRecord) -> tuple[DictConfig, Path, TextDeclaration | None]:
    from hft.cli.variation import trusted_config
    from hft.experiments.run_model import require_model

    model = require_model(record, args.outputs)
    config = trusted_config(record, args.overrides, args.trust, args.outputs)
    from hft.running.texts import texts_of_run

    return config, model, texts_of_run(record)


def _model_options() -> list[str]:
    from hft.config.composer import config_loader
    from hft.config.groups import group_options

    with config_loader() as loader:
        return group_options(loader, "model")


def _model_override(subject: str, options: Sequence[str], overrides: Sequence[str]) -> list[str] | None:
    """Overrides that choose the model that the subject names; None where it names a run, or nothing."""
    folder = Path(subject)
    if folder.is_dir():
        is_model = (folder / "modules.json").is_file() or (folder / "config.json").is_file()
        if not is_model:
            return None
        from hft.models.clip_saving import is_clip_folder

        kind = "clip" if is_clip_folder(folder) else "local"
        return [f"model={kind}", f"model.source={_quoted(str(folder))}"]
    if subject in options:
        return [f"model={subject}"]
    if subject.startswith("packaged:"):
        return ["model=local", f"model.source={_quoted(subject)}"]
    # OWNER/NAME may be a mistyped path as well: with a revision it is meant as a hub id.
    if subject.count("/") == 1 and any(override.startswith("model.revision=") for override in overrides):
        return ["model=hub", f"model.source={_quoted(subject)}"]
    return None


def _no_model_either(subject: str, options: Sequence[str]) -> str:
    """What the subject could have been where it is no run."""
    import difflib

    near = difflib.get_close_matches(subject, options, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    told = f"It is no model either: no folder with a config.json, and none of {', '.join(options)}.{meant}"
    if subject.count("/") == 1 and not subject.startswith((".", "/", "~")):
        told += f" If it is a hub id, name its revision: hft evaluate {subject} model.revision=COMMIT"
    return told


def _quoted(value: str) -> str:
    """A value as Hydra's grammar takes it whatever characters it has."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
