"""Writing a file so that a reader sees all of it or none, and the errors of a store's folder in one line."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError

TEMPORARY = ".tmp"


def write_atomic(path: Path, content: bytes | memoryview, durable: bool = True) -> None:
    """Write `content` to a hidden file in the same folder, sync it and rename it to `path`.

    Args:
        durable: sync the file and its folder, so that the file outlives a power cut.
    """
    with staged(path, durable) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def staged(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one line that names the store.

    Raises:
        HarnessError: the store cannot be read or written.
    """
    try:
        yield
    except (NotADirectoryError, FileExistsError) as error:
        found = error.filename or path
        raise HarnessError(f"cannot use '{path}' as a store: '{found}' is a file; give a folder with --store") from None
    except PermissionError as error:
        found = error.filename or path
        raise HarnessError(
            f"cannot write to the store '{path}': no permission for '{found}'; choose another --store"
        ) from None
    except OSError as error:
        raise HarnessError(f"cannot use the store '{path}': {error.strerror or error}") from None
