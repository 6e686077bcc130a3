"""Stores of files that fsspec knows: which package each needs, and what their errors mean. Credentials come from the
environment, as each store's own tools take them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hft.errors import DataError
from hft.redaction import has_password, redacted

# By the scheme of an address: (the extra of hft that reads it, whose credentials).
_S3 = ("s3", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE; AWS_ENDPOINT_URL for a server of your own")
_GCS = ("gcs", "GOOGLE_APPLICATION_CREDENTIALS")
_AZURE = ("azure", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_CONNECTION_STRING")
STORES = {"s3": _S3, "s3a": _S3, "gs": _GCS, "gcs": _GCS, "az": _AZURE, "abfs": _AZURE, "abfss": _AZURE}

# Address of a folder in a store, in a config.
RemoteFolder = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://.+")]


def is_remote(location: str) -> bool:
    """Whether a location is the address of a store and no path of this machine."""
    return "://" in location


def below(folder: str | Path, name: str) -> str:
    """The location of a file in a folder, here or in a store."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(str(folder)) else str(Path(folder) / name)


def scheme_of(location: str) -> str:
    """`s3` of s3://bucket/key."""
    return location.partition("://")[0].lower()


def file_system(location: str, key: str) -> tuple[Any, str]:
    """(an fsspec file system of its own, the path in it).

    Args:
        location: address of a file, folder or pattern.
        key: config key that names it.

    Raises:
        DataError: it carries a password, its scheme is unknown, or a package is missing.
    """
    if has_password(location):
        raise DataError(f"{key}: the address carries a password. Leave it out: {credentials_of(location)}.")
    from fsspec import get_filesystem_class
    from fsspec.registry import known_implementations

    scheme = scheme_of(location)
    try:
        kind = get_filesystem_class(scheme)
    except ImportError:
        raise DataError(_missing_package(scheme, key)) from None
    except ValueError:
        near = difflib.get_close_matches(scheme, [*STORES, *known_implementations], n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}://?" if near else ""
        raise DataError(f"{key}: no store is known by {scheme}://.{hint} Expected: {', '.join(STORES)}.") from None
    # Fresh, so that credentials and listings are those of now.
    system = kind(skip_instance_cache=True, use_listings_cache=False)
    return system, str(kind._strip_protocol(location)) + ("/" if location.endswith("/") else "")


def credentials_of(location: str) -> str:
    """Where a store's credentials are taken from, in words."""
    known = STORES.get(scheme_of(location))
    return "credentials are taken from the environment" + (f" ({known[1]})" if known else "")


def in_words(key: str, location: str, error: BaseException) -> str:
    """What to say of an error of a store; no secret is in it."""
    where = f"{key}: {location}" if location not in key else key
    told = redacted(f"{type(error).__name__}: {error}".rstrip(": "))
    if isinstance(error, FileNotFoundError):
        return f"{where} is not there ({told}). Check bucket and key."
    if isinstance(error, PermissionError) or type(error).__name__.endswith("CredentialsError"):
        return f"{where} is refused ({told}). Check the credentials: {credentials_of(location)}."
    return f"{where} cannot be read ({told}). Nothing of it is used. Check the connection, and run it again."


def _missing_package(scheme: str, key: str) -> str:
    from fsspec.registry import known_implementations

    known = STORES.get(scheme)
    if known is not None:
        return f'{key}: reading {scheme}:// needs packages that are not installed. Run: pip install "hft[{known[0]}]"'
    advice = known_implementations.get(scheme, {}).get("err", "Install the package that reads it")
    return f"{key}: reading {scheme}:// needs a package that is not installed. {advice}."
