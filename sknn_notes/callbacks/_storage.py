"""The file of a checkpoint, which is replaced atomically."""

import os
import pickle
import secrets
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

from sknn_notes._version import __version__

# These lines can be read without unpickling.
_FIRST_LINE = b"sknn_notes checkpoint\n"
_SECOND_LINE = f"version {__version__}\n".encode()


def check_writable(path: Path) -> None:
    """Raise OSError unless a file can be written; remove files of killed processes.

    Parameters
    ----------
    path : Path
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The checkpoint {path} can't be written: the folder {folder} does not "
            "exist. Create it, or pass another path."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"The checkpoint {path} can't be written: it is a folder. Pass the path of "
            "a file."
        )
    probe = _temporary(path)
    try:
        for left_over in folder.glob(f".{escape(path.name)}.*.tmp"):
            left_over.unlink(missing_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise type(error)(
            error.errno,
            f"The checkpoint {path} can't be written: {error.strerror}. Pass a path in "
            "a writable folder",
            str(folder),
        ) from error


def write(path: Path, content: Any) -> None:
    """Replace a file by the pickle of an object.

    The file is either the old or the new one at any time, even after a power failure.
    If writing fails, the old file remains, and no temporary file is left.
    """
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            file.write(_FIRST_LINE + _SECOND_LINE)
            pickle.dump(content, file, pickle.HIGHEST_PROTOCOL)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def read(path: str | os.PathLike[str]) -> Any:
    """Return the object that ``write`` put into a file.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, is damaged, or was written by another version.
    """
    with open(path, "rb") as file:
        if file.readline(len(_FIRST_LINE)) != _FIRST_LINE:
            raise ValueError(f"{path} is not a checkpoint of sknn_notes.")
        version = file.readline(100)
        if version != _SECOND_LINE:
            writer = version.decode(errors="replace").removeprefix("version ").strip()
            raise ValueError(
                f"{path} was written by version {writer} of sknn_notes, but version "
                f"{__version__} is installed and may train differently. Install "
                f"sknn_notes=={writer} to resume the fit."
            )
        try:
            return pickle.load(file)
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} is damaged: {error}.") from error


def _temporary(path: Path) -> Path:
    # In the same folder, since a file can't be moved to another disk atomically.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _sync(folder: Path) -> None:
    """Flush the new name of a file to disk, on systems that can open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
