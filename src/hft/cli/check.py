"""`hft check`: say everything that is wrong with a request, without running it."""

from __future__ import annotations

import argparse
import sys

WRONG_REQUEST = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft check`."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides, as `hft train` takes them")
    parser.add_argument("-m", "--multirun", action="store_true", help="the request is a sweep")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="search this folder of configs before every other")
    parser.add_argument("-cn", "--config-name", metavar="NAME", default="train", help="the primary config")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; 2 where the request would be refused."""
    from hft.config.preflight import check

    multirun = True if args.multirun else None
    report = check(args.overrides, config_dir=args.config_dir, config_name=args.config_name, multirun=multirun)
    if args.json:
        import json

        print(json.dumps(report.to_dict(), indent=2, default=str))
    else:
        print(report.text(), file=sys.stdout)
    return 0 if report.ok else WRONG_REQUEST
