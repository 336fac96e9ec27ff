"""Python source reduced to what decides results.

Comments, formatting, docstrings, annotations of arguments and variables, and messages to people do not count: a change
of them makes no result another. Everything else counts: code, constants, defaults, decorators, the fields of classes.
"""

import ast
import builtins
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

#: functions whose arguments are messages; `file=` another place than the terminal makes them output
SAYING = {"print", "echo", "secho", "warn"}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"logging", "logger", "log"}
TERMINALS = {"stdout", "stderr"}
#: function -> arguments that are read by people: by name, and by place
MESSAGES: dict[str, tuple[set[str], int | None]] = {
    "progress": ({"label"}, 1),
    "train": ({"label"}, None),
    "make_samples": ({"label"}, None),
    "Field": ({"description", "title", "examples"}, None),
}
#: modules that only annotations need
OF_TYPES = {"typing", "collections.abc", "__future__"}
#: what a registry is made by; strings of this form among its entries are imported when an entry is asked for
REGISTRY, LAZY = "Registry", re.compile(r"(?P<module>(?:cafa|metrics)(?:\.\w+)+):\w+")
#: fields of syntax that say nothing, or not in every version of Python
IGNORED = {"ctx", "kind", "type_comment", "type_params", "type_ignores"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def name_of_call(call: ast.Call) -> str:
    """Last part of the name of what is called; empty if it has none. That of ``Registry[Judge](...)`` is Registry."""
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _acts(node: ast.AST) -> bool:
    """Whether an argument does more than to have a value."""
    return any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def _works(node: ast.AST) -> bool:
    """Whether an argument calls a function of somebody's own: ``echo(encode(clips))`` is no mere message."""
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and not hasattr(builtins, part.func.id)
        for part in ast.walk(node)
    )


def _is_word(node: ast.AST) -> bool:
    """Whether an argument is a constant other than a sentence: ``"missing_file"``, a reason of the ledger."""
    return isinstance(node, ast.Constant) and not (isinstance(node.value, str) and not node.value.isidentifier())


def _to_terminal(call: ast.Call) -> bool:
    files = [keyword.value for keyword in call.keywords if keyword.arg == "file"]
    return all(isinstance(file, ast.Attribute) and file.attr in TERMINALS for file in files)


class _Normalise(ast.NodeTransformer):
    """Takes away what does not count."""

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Statements without strings that stand alone: docstrings."""
        return [
            line
            for line in body
            if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            and not (isinstance(line, ast.ImportFrom) and line.module in OF_TYPES)
        ]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(body := getattr(node, "body", None), list):
            node.body = self._body(body)  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Without annotations."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Without annotations."""
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Without its annotation."""
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Annotations of a class's fields stay: pydantic and dataclasses act by them."""
        for line in node.body:
            if isinstance(line, ast.AnnAssign):
                line.simple = 2
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """As a plain assignment, except in a class."""
        if node.simple == 2:
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """``if TYPE_CHECKING`` never runs."""
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
        return None if name == "TYPE_CHECKING" and not node.orelse else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Without its message."""
        node.msg = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Which error, and the words among its arguments."""
        if isinstance(node.exc, ast.Call):
            _only_words(node.exc)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Without arguments for people."""
        name = name_of_call(node)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        logs = name in LOGGING and getattr(owner, "id", "").strip("_").lower() in LOGGERS
        if logs or (name in SAYING and _to_terminal(node)) or name.endswith(("Error", "Exception")):
            _only_words(node, words=not logs and name not in SAYING, work=name in SAYING)
        names, place = MESSAGES.get(name, (set(), None))
        node.keywords = [word for word in node.keywords if word.arg not in names | {"help", "short_help", "epilog"}]
        if place is not None:
            node.args = [argument for at, argument in enumerate(node.args) if at != place or _acts(argument)]
        return self.generic_visit(node)


def _only_words(call: ast.Call, words: bool = True, work: bool = False) -> None:
    def counts(argument: ast.AST) -> bool:
        return _acts(argument) or (words and _is_word(argument)) or (work and _works(argument))

    call.args = [argument for argument in call.args if counts(argument)]
    call.keywords = [word for word in call.keywords if counts(word.value)]


def _dump(node: Any, words: list[str]) -> None:
    """Put the syntax into `words`, which are the same in every version of Python."""
    if isinstance(node, ast.AST):
        words.append(type(node).__name__)
        for field, value in ast.iter_fields(node):
            if value is None and not (isinstance(node, ast.Constant) and field == "value"):
                continue
            if field in IGNORED or value == [] or (isinstance(node, ast.AnnAssign) and field == "simple"):
                continue
            words.append(f".{field}(")
            _dump(_joined(value) if isinstance(node, ast.JoinedStr) else value, words)
            words.append(")")
    elif isinstance(node, list):
        for value in node:
            _dump(value, words)
            words.append(",")
    else:
        words.append(f"{type(node).__name__}:{node!r}")


def _joined(parts: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string; neighbouring pieces of text are one, however the string was cut over lines."""
    joined: list[ast.expr] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            joined[-1] = ast.Constant(str(last.value) + str(part.value))
        else:
            joined.append(part)
    return joined


def normalised(tree: ast.Module) -> ast.Module:
    """A module, or some of its statements, without what does not count; `tree` itself is changed."""
    return _Normalise().visit(tree)


def digest_of_code(tree: ast.Module) -> str:
    """Digest of a normalised module."""
    words: list[str] = []
    _dump(tree, words)
    return hashlib.sha256("".join(words).encode()).hexdigest()[:16]


def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All of the syntax, walked once for the functions below."""
    return tuple(ast.walk(tree))


def strings_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Constants that may name files of data."""
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def imports_of(nodes: Iterable[ast.AST], packages: Iterable[str]) -> frozenset[str]:
    """Modules of `packages` that are imported anywhere, in functions as well.

    ``from module import name`` gives ``module.name`` too, since that may be a module.
    """
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    wanted = set(packages)
    return frozenset(name for name in names if name.split(".")[0] in wanted)


def packages_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """First names of all that is imported anywhere: ``torch``, ``numpy``, ``os``."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return frozenset(names)


def named_modules(nodes: Iterable[ast.AST]) -> frozenset[tuple[str, str, str]]:
    """Modules that strings name, ``"cafa.diffusion.samplers:euler"``: (registry, entry, module).

    Registry and entry are empty where the string is no entry of a registry, such as ``X = Registry("...", {...})``.
    """
    found: set[tuple[str, str, str]] = set()
    of_registries: set[int] = set()
    nodes = tuple(nodes)
    for line in nodes:
        if not (isinstance(line, ast.Assign) and isinstance(line.value, ast.Call)):
            continue
        if name_of_call(line.value) != REGISTRY:
            continue
        registry = next((target.id for target in line.targets if isinstance(target, ast.Name)), "")
        for entries in [node for node in ast.walk(line.value) if isinstance(node, ast.Dict)]:
            for key, value in zip(entries.keys, entries.values, strict=True):
                if isinstance(key, ast.Constant):
                    parts = tuple(ast.walk(value))
                    of_registries.update(map(id, parts))
                    found.update((registry, str(key.value), module) for module in _lazy(parts))
    found.update(("", "", module) for module in _lazy(node for node in nodes if id(node) not in of_registries))
    return frozenset(found)


def _lazy(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for part in nodes:
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and (match := LAZY.fullmatch(part.value)):
            yield match["module"]


def part_of(tree: ast.Module, function: str) -> ast.Module:
    """A function with everything of its module that it uses, directly or not, in the order of the module.

    Raises
    ------
    KeyError
        If there is no such function.
    """
    defined: dict[str, list[ast.stmt]] = {}
    for line in tree.body:
        for name in _names_bound(line):
            defined.setdefault(name, []).append(line)
    wanted, waiting = set(), [function]
    lines: set[int] = set()
    if function not in defined:
        raise KeyError(function)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for line in defined.get(name, []):
            lines.add(id(line))
            waiting += [node.id for node in ast.walk(line) if isinstance(node, ast.Name)]
    body = [_imports_used(line, wanted) for line in tree.body if id(line) in lines]
    return ast.Module(body=body, type_ignores=[])


def _imports_used(line: ast.stmt, wanted: set[str]) -> ast.stmt:
    if isinstance(line, ast.ImportFrom):
        return ast.ImportFrom(line.module, [a for a in line.names if (a.asname or a.name) in wanted], line.level)
    return line


def _names_bound(line: ast.stmt) -> Iterator[str]:
    if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield line.name
    elif isinstance(line, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in line.names)
    else:
        for node in ast.walk(line):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
