"""What to say, in one line, when the system refuses something that no part of the program has explained."""

import errno
import os

from flows.cli.streams import OUTPUT

_CONFIGURATION = {
    errno.EACCES: "let this user do that, or name another place",
    errno.EPERM: "let this user do that, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOENT: "name one that is there",
    errno.ENOTDIR: "name another place",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name another place",
    errno.ELOOP: "name another place",
    errno.ENAMETOOLONG: "name another place",
}
"""What somebody must set otherwise, and how."""
_PASSING = {
    errno.ENOSPC: "make room, and run it again",
    errno.EDQUOT: "make room, and run it again",
    errno.EMFILE: "let the process open more files (ulimit -n), and run it again",
    errno.ENFILE: "let the system open more files (fs.file-max), and run it again",
    errno.ENOMEM: "give it more memory, and run it again",
    errno.EAGAIN: "let it have more processes and threads (ulimit -u) or addresses (ulimit -v), and run it again",
    errno.EIO: "look at the disk",
    errno.EFBIG: "let the process write longer files (ulimit -f), and run it again",
}
_NO_THREAD = "can't start new thread"
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "error return without exception set", "bad_alloc")
"""What is said where memory ends while a library is loaded, or within one."""


def system_failure(error: BaseException) -> tuple[str, int] | None:
    """What to say of an error that the system is to blame for, and the exit code.

    >>> system_failure(PermissionError(13, "Permission denied", "data"))
    ('data: Permission denied (let this user do that, or name another place)', 2)
    >>> system_failure(ValueError("a programming error"))

    Returns:
        None for every other error.
    """
    if isinstance(error, MemoryError):
        return f"out of memory{f': {error}' if str(error) else ''} (give it more, and run it again)", 1
    said = _of_memory(error)
    if said is not None:
        return f"out of memory, it seems: {said} (give it more, and run it again)", 1
    if isinstance(error, ImportError) and "shared object" in str(error):
        return f"a library cannot be loaded: {error} (ulimit -n says how many files may be open)", 1
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return f"{_NO_THREAD} ({_PASSING[errno.EAGAIN]})", 1
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.filename == OUTPUT:
        return f"{OUTPUT} cannot be written: {os.strerror(error.errno)}", 1
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    advice = _CONFIGURATION.get(error.errno) or _PASSING.get(error.errno)
    where = f"{' -> '.join(names)}: " if names else ""
    return f"{where}{error.strerror}{f' ({advice})' if advice else ''}", 2 if error.errno in _CONFIGURATION else 1


def _of_memory(error: BaseException) -> str | None:
    """The line that says that memory has ended, of what may be a page of advice; None of another error."""
    kinds = isinstance(error, ImportError | SystemError | RuntimeError) or type(error).__name__ == "KafkaException"
    lines = str(error).splitlines() if kinds else []
    return next((line.strip() for line in lines if any(sign in line for sign in _NO_MEMORY)), None)
