"""Finds the function of an application for an operation: imports its module and reads the sources that it lies in.

The folder of the target file comes first, and is on `sys.path` only while the module is imported. A module there comes
before one of the same name that is loaded already, such as `queue` of Python itself, which is put back afterwards. A
module is imported once for each folder.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import inspect
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from attrs import field, frozen

from pgqmodel.target.file_values import refuse

__all__ = ["Imported", "import_function", "parameters_of"]

_WANTED = '"package.module:function"'
_FIRST = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_INSTALLED = "site-packages"
_APPLICATIONS: dict[Path, dict[str, ModuleType]] = {}
"""The modules that were imported from the folder of each target file. Two of them may have modules of the same names:
those of the file that was read last are in `sys.modules`."""


@frozen(kw_only=True)
class Imported:
    """A function, the name that the file gives it, and the sources of its module and of those that this one uses.

    `sources` has the text of each file by its path below the folder of imports.
    """

    name: str
    function: Callable[..., Any]
    root: Path
    sources: dict[str, str]
    texts: tuple[str, ...] = field(init=False)
    """The texts in the sources that may be SQL: of two words and more, and no docstrings."""

    def __attrs_post_init__(self) -> None:
        texts = (text for source in self.sources.values() for text in _texts(source))
        object.__setattr__(self, "texts", tuple(text for text in texts if len(text.split()) > 1))

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def`."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def digest(self) -> str:
        """Changes with every change of a source."""
        named = "".join(f"{path}\0{source}\0" for path, source in sorted(self.sources.items()))
        return hashlib.sha256(named.encode()).hexdigest()

    def place(self, trace: TracebackType | None) -> str:
        """The innermost line of the application that an error came through, such as `app/queue.py:31`."""
        found = self.name
        while trace is not None:
            path = _below(Path(trace.tb_frame.f_code.co_filename), self.root)
            found = f"{path}:{trace.tb_lineno}" if path in self.sources else found
            trace = trace.tb_next
        return found


def import_function(where: str, name: str, directory: Path) -> Imported:
    """The function `package.module:function`, looked for in `directory` first; TargetError if there is none."""
    module_name, colon, attribute = name.partition(":")
    if not (colon and all(map(str.isidentifier, (*module_name.split("."), *attribute.split("."))))):
        refuse(where, f"found {name!r}", f"{_WANTED}, such as 'myapp.queue:claim'", "correct it")
    directory = directory.resolve()
    with _first(directory, module_name.partition(".")[0]):
        module = _import(where, module_name, directory)
        function: Any = module
        for part in attribute.split("."):
            function = getattr(function, part, None)
        if not callable(function):
            found = "nothing" if function is None else f"a {type(function).__name__}"
            refuse(where, f"found {found} for {attribute!r} in {module.__file__}", "a function", "correct the name")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            refuse(where, f"found {name!r}, a generator", "a function that returns its result", "wrap it in one")
        root = _root(module)
        return Imported(name=name, function=function, root=root, sources=_sources(module, root, directory))


def parameters_of(where: str, source: Imported) -> tuple[str, ...]:
    """The names of a function's parameters behind the first, which is the connection."""
    try:
        listed = list(inspect.signature(source.function).parameters.values())
    except (TypeError, ValueError):
        refuse(where, f"found {source.name!r}, which shows no parameters", "a function of Python", "wrap it in one")
    first, rest = listed[:1], listed[1:]
    if not first or first[0].kind not in _FIRST:
        refuse(where, f"found {source.name!r} without a first parameter", "`connection` as the first", "add it")
    for each in rest:
        if each.kind not in _NAMED:
            expected = "parameters that can be given by their names, such as `job` or `worker`"
            refuse(where, f"found the parameter {str(each)!r} of {source.name!r}", expected, "name what it needs")
    return tuple(each.name for each in rest)


@contextlib.contextmanager
def _first(directory: Path, top: str) -> Iterator[None]:
    """Look for modules in a directory first, and for the package or module `top` there, if it has one."""
    own = _APPLICATIONS.setdefault(directory, {})
    for others in _APPLICATIONS.values():
        for name, module in others.items() if others is not own else ():
            if sys.modules.get(name) is module:
                del sys.modules[name]
    is_here = (directory / f"{top}.py").exists() or (directory / top).is_dir()
    hides = is_here and top not in own and not _lies_below(sys.modules.get(top), directory)
    hidden = {
        name: module
        for name, module in sys.modules.items()
        if own.get(name, module) is not module or (hides and _is_in(name, top))
    }
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(own)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        own |= {name: module for name, module in sys.modules.items() if _lies_below(module, directory)}
        sys.modules.update(hidden)


def _lies_below(module: ModuleType | None, directory: Path) -> bool:
    """Whether a module is imported from a directory, and is not one that is installed there."""
    path = _source_path(module) if module is not None else None
    return path is not None and path.is_relative_to(directory) and _INSTALLED not in path.parts


def _is_in(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")


def _import(where: str, name: str, directory: Path) -> ModuleType:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of what a command says
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        expected = f"a module below {directory}, or an installed one"
        refuse(
            where, f"found {name!r}, which cannot be imported ({error})", expected, "correct the name, or install it"
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may do anything while it is imported
        found = f"found {name!r}, which raised {error!r:.200} while it was imported"
        refuse(where, found, "a module that can be imported", "import it in Python to see where")


# -- sources -----------------------------------------------------------------------------------------------------------


def _root(module: ModuleType) -> Path:
    """The folder from which a module is imported."""
    path = Path(module.__file__ or ".").resolve()
    depth = len(module.__name__.split(".")) - (path.name != "__init__.py")
    return path.parents[depth]


def _below(path: Path, root: Path) -> str:
    """A path as it is seen from a folder, in the same words on every machine."""
    path = path.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _sources(module: ModuleType, root: Path, directory: Path) -> dict[str, str]:
    """The source of a module, and of the application's own modules that it imports, and that these import."""
    found: dict[str, str] = {}
    left = [module]
    while left:
        each = left.pop()
        path = _source_path(each)
        if path is None or _below(path, root) in found or not _is_own(each, module, directory):
            continue
        found[_below(path, root)] = _read(path)
        left += [used for value in list(vars(each).values()) if (used := _module_of(value)) is not None]
    return dict(sorted(found.items()))


def _read(path: Path) -> str:
    with tokenize.open(path) as file:  # in the encoding that it declares
        return file.read()


def _source_path(module: ModuleType) -> Path | None:
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path is not None and path.endswith(".py") else None


def _is_own(module: ModuleType, first: ModuleType, directory: Path) -> bool:
    """Whether a module is of the application: of the same package, or below the target file's folder."""
    return _lies_below(module, directory) or _is_in(module.__name__, first.__name__.partition(".")[0])


def _module_of(value: Any) -> ModuleType | None:
    """The module that a value of a module is, or comes from."""
    if isinstance(value, ModuleType):
        return value
    name = getattr(value, "__module__", None)
    return sys.modules.get(name) if isinstance(name, str) else None


def _texts(source: str) -> Iterator[str]:
    """Every text in a source but its docstrings, which stand as statements of their own."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value
