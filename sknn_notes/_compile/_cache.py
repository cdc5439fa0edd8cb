"""Compiled code on disk: whatever fails there costs time, never a fit."""

import pickle
import sys
import tempfile
import warnings
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from uuid import uuid4

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

_LIBRARY = __package__.partition(".")[0]


class DiskCache(NullCache):
    """Keeps what is compiled of a function, one file for each signature.

    A file holds a digest of the sources and of numba's version, a digest of the rest,
    and the code: code of other sources is not used, damaged code not run. What can't be
    loaded is compiled again and replaced; what can't be saved is compiled by every
    process.
    """

    def __init__(self, name):
        self._name = name

    def holds(self, sig, codegen):
        """Tell whether there is a file for a signature, whatever its age."""
        try:
            return self._path(sig, codegen).exists()
        except Exception:
            return False

    def load_overload(self, sig, target_context):
        """Return the code for a signature, None where it has to be compiled."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            if path.exists() and (code := _read(path)) is not None:
                return CompileResult._rebuild(target_context, *pickle.loads(code))
        except Exception as error:
            _warn_once(error)
        return None

    def save_overload(self, sig, data):
        """Keep the code for a signature."""
        try:
            if data.library.has_dynamic_globals:
                raise ValueError(f"{self._name} holds addresses of this process")
            _write(self._path(sig, data.codegen), dumps(data._reduce()))
        except Exception as error:
            _warn_once(error)

    def _path(self, sig, codegen):
        _stamp()  # Raises where nothing can be kept, before a directory is made.
        key = repr((sig, codegen.magic_tuple(), sys.implementation.cache_tag))
        name = f"{self._name}-{sha256(key.encode()).hexdigest()[:20]}.nbc"
        return directory() / name


@cache
def _stamp():
    """Return a digest of all that the code is compiled from and by.

    Functions of one file are compiled into those of another, so that it covers all
    sources of the library, wherever it was imported from.
    """
    sources = list(_sources(resources.files(_LIBRARY)))
    if not sources:
        raise FileNotFoundError(
            f"the sources of {_LIBRARY} are in no file, as in a frozen application, "
            "and so the age of compiled code is unknown"
        )
    return sha256(numba.__version__.encode() + b"".join(sources)).digest()


def _sources(folder):
    """Yield the contents of all Python files in a folder, in the order of names."""
    for file in sorted(folder.iterdir(), key=str):
        if file.name.endswith((".py", ".pyc")):
            yield file.read_bytes()
        elif "." not in file.name and file.name != "__pycache__" and file.is_dir():
            yield from _sources(file)


@contextmanager
def locked():
    """Let one process compile at a time, so that the others find what it has kept."""
    with ExitStack() as stack:
        # Not on Windows, nor on network file systems without locks. Without a directory
        # nothing is kept anyway.
        with suppress(ImportError, OSError):
            import fcntl

            _stamp()  # Raises where nothing can be kept, before a directory is made.
            file = stack.enter_context((directory() / "lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
            # A process that was forked meanwhile has the file open, too.
            stack.callback(fcntl.flock, file, fcntl.LOCK_UN)
        yield


@cache
def directory():
    """Return the first directory that can be written."""
    folder = Path(__file__).parent
    name = f"sknn_notes_{sha256(str(folder).encode()).hexdigest()[:20]}"
    places = [Path(AppDirs("numba", appauthor=False).user_cache_dir, name)]
    if folder.is_dir():  # Not in a zip.
        places.insert(0, folder / "__pycache__")
    # Numba's settings have no types.
    if chosen := vars(numba.config)["CACHE_DIR"]:
        places.insert(0, Path(chosen, name))
    for place in places:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
            return place
    raise PermissionError(f"no directory of {[*map(str, places)]} can be written")


def _read(path):
    """Return the code in a file, None where it is of other sources."""
    content = path.read_bytes()
    stamp, digest, code = content[:32], content[32:64], content[64:]
    if len(stamp) == 32 and stamp != _stamp():
        return None
    if digest != sha256(code).digest():
        raise ValueError(f"{path} is damaged")
    return code


def _write(path, code):
    """Write a file of which other processes see all, or nothing."""
    content = _stamp() + sha256(code).digest() + code
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


_failures: list[Exception] = []


def _warn_once(error):
    """Warn of the first failure in a process; the next ones have the same cause."""
    _failures.append(error)
    if len(_failures) == 1:
        warnings.warn(
            "Compiled code can't be read from disk, or kept there "
            f"({type(error).__name__}: {error}). It is compiled again, which takes "
            "some seconds. If every process does so, set NUMBA_CACHE_DIR to a "
            "directory that can be written, or SKNN_NOTES_KERNELS=numpy to compile "
            "nothing.",
            stacklevel=2,
        )
