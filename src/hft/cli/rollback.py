"""`hft rollback`: the champion's predecessor becomes champion again."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft rollback`."""
    parser.add_argument("method", nargs="?", metavar="METHOD", help="whose champion (default: the only one there is)")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--uri", metavar="URI", help="the store (default: MLFLOW_TRACKING_URI, else OUTPUTS/mlflow.db)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    """Move the alias back."""
    from hft.experiments.champions import rollback
    from hft.experiments.store import TrackingError

    try:
        method = args.method or _only_method(args)
        before, now = rollback(method, args.outputs, args.uri)
    except TrackingError as error:
        raise TrackingError(
            f"{error}\nChampions are kept in that store: start it and roll back again, or name another one: --uri URI"
        ) from error
    if args.json:
        import json

        was, is_now = (
            {"run_id": one.run_id, "version": one.version, "folder": str(one.folder)} for one in (before, now)
        )
        print(json.dumps({"method": method, "was": was, "champion": is_now}, indent=2))
        return 0
    print(f"{method}: the champion was run {before.run_id[:8]}, version {before.version}, of {before.promoted_at}.")
    print(f"It is run {now.run_id[:8]}, version {now.version}, of {now.promoted_at} again ({now.folder}).")
    return 0


def _only_method(args: argparse.Namespace) -> str:
    from hft.errors import ConfigError
    from hft.experiments.champions import store_uri
    from hft.experiments.registry import Champions

    uri = store_uri(args.outputs, args.uri)
    methods = Champions(uri).methods()
    if len(methods) == 1:
        return methods[0]
    if not methods:
        raise ConfigError(f"hft rollback: no method has a champion in {uri}. The first comes with: hft promote RUN")
    raise ConfigError(f"hft rollback: several methods have a champion. Name one: {', '.join(methods)}.")
