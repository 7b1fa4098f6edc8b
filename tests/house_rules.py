"""House rules that no linter knows, each a function from a tree to its findings, `path:line what`."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

MAX_LINES = 250
EMPTY_NAMES = frozenset(["util", "utils", "helper", "helpers", "manager", "managers", "common", "core"])
READ_THE_ENVIRONMENT = ("functions/*/main.py", "shared/config.py")
WORK_WHEN_IMPORTED = ("functions/*/main.py", "shared/google_rpc/messages.py")

# fmt: off
CONSTANT_MAKERS = frozenset([
    "frozenset", "tuple", "range", "type", "date", "datetime", "time", "timedelta", "Decimal", "Path",
    "Address", "dict.fromkeys", "TypeVar", "ParamSpec", "NewType", "get_args", "re.compile",
    "logging.getLogger", "ContextVar", "Meta", "msgspec.Meta", "msgspec.field", "msgspec.Raw",
    "msgspec.json.encode", "msgspec.json.Encoder", "msgspec.json.Decoder", "RSAAlgorithm",
    "ec.ECDSA", "SHA256",
])
# fmt: on
"""Calls without effect outside of their result, which nobody changes."""

# fmt: off
MUTATORS = frozenset([
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove",
    "setdefault", "sort", "update",
])
# fmt: on

_Node = ast.stmt | ast.expr
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
_CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


def environment_is_read_by_main_only(root: Path) -> list[str]:
    return [
        f"{where}:{node.lineno} reads the environment"
        for where, module in _modules(root, but=READ_THE_ENVIRONMENT)
        for node in _nodes(module)
        if _reads_environment(node)
    ]


def imports_do_no_work(root: Path) -> list[str]:
    """At module level: imports, definitions, and constants made of other constants."""
    structs = frozen_structs(root)
    return [
        f"{where}:{node.lineno} works when it is imported: {ast.unparse(node)[:60]}"
        for where, module in _modules(root, but=WORK_WHEN_IMPORTED)
        for node in _work(module, structs)
    ]


def modules_hold_constants_only(root: Path) -> list[str]:
    """A container of a module has a constant's name, and no function changes or rebinds it."""
    return [
        f"{where}:{node.lineno} changes what belongs to the module: {ast.unparse(node)[:60]}"
        for where, module in _modules(root)
        for node in (*_unnamed_containers(module), *_changes(module))
    ]


def files_are_short(root: Path) -> list[str]:
    return [
        f"{where}:{lines} lines, {MAX_LINES} at most"
        for where in _files(root)
        if (lines := len((root / where).read_text().splitlines())) > MAX_LINES
    ]


def names_say_what_is_inside(root: Path) -> list[str]:
    return [
        f"{where}:1 is called {part}"
        for where in _files(root, ("functions", "shared", "local", "deploy"))
        for part in (*where.parent.parts, where.stem)
        if part in EMPTY_NAMES
    ]


def frozen_structs(root: Path) -> frozenset[str]:
    """The names of the classes whose instances are values, so that a module may hold one."""
    return frozenset(
        node.name
        for _, module in _modules(root)
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and _is_value(node)
    )


def _is_value(node: ast.ClassDef) -> bool:
    frozen = any(
        keyword.arg == "frozen" and ast.unparse(keyword.value) == "True" for keyword in node.keywords
    )
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    return frozen or bool(bases & {"Exception", "Error"})


def _files(root: Path, rooms: Sequence[str] = ("functions", "shared")) -> list[Path]:
    return sorted(path.relative_to(root) for room in rooms for path in (root / room).rglob("*.py"))


def _modules(root: Path, but: Sequence[str] = ()) -> Iterator[tuple[Path, ast.Module]]:
    for where in _files(root):
        if not any(where.match(pattern) for pattern in but):
            yield where, ast.parse((root / where).read_text())


def _reads_environment(node: _Node) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in names


def _work(module: ast.Module, structs: frozenset[str]) -> Iterator[_Node]:
    own = {node.name: node for node in module.body if isinstance(node, _FUNCTIONS)}
    values = structs | _imported_from_a_domain(module)
    for statement in _statements(module.body):
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) or _is_for_types(statement):
            continue
        if not isinstance(statement, (*_ASSIGNMENTS, *_DEFINITIONS)) and not _is_text(statement):
            yield statement
        for evaluated in _evaluated(statement):
            for call in ast.walk(evaluated):
                if isinstance(call, ast.Call) and not _makes_a_constant(call, values, own):
                    yield call


def _is_for_types(statement: ast.stmt) -> bool:
    """Imports that only a type checker sees, of what is imported for real by the function that needs it."""
    return (
        isinstance(statement, ast.If)
        and ast.unparse(statement.test) == "TYPE_CHECKING"
        and not statement.orelse
        and all(isinstance(inner, (ast.Import, ast.ImportFrom)) for inner in statement.body)
    )


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Those that run when the module is imported: its own and those of its classes."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.ClassDef):
            yield from _statements(statement.body)


def _evaluated(statement: ast.stmt) -> list[ast.AST]:
    """The parts of a statement that are evaluated at import; of a definition, not its body."""
    if isinstance(statement, ast.ClassDef):
        return [*statement.decorator_list, *statement.keywords]
    if isinstance(statement, _FUNCTIONS):
        defaults = [default for default in statement.args.kw_defaults if default is not None]
        return [*statement.decorator_list, *statement.args.defaults, *defaults]
    return [statement] if isinstance(statement, _ASSIGNMENTS) else []


def _imported_from_a_domain(module: ast.Module) -> frozenset[str]:
    """Pure by contract."""
    return frozenset(
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom) and ".domain" in (node.module or "")
        for alias in node.names
    )


def _makes_a_constant(call: ast.Call, values: frozenset[str], own: Mapping[str, _Function]) -> bool:
    """A function of the same module does if all that it calls does."""
    name = ast.unparse(call.func)
    if name in own:
        others = {other: node for other, node in own.items() if other != name}
        inner = (node for node in ast.walk(own[name]) if isinstance(node, ast.Call))
        return all(_makes_a_constant(node, values, others) for node in inner)
    of_a_text = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Constant)
    return of_a_text or name in CONSTANT_MAKERS or name.rpartition(".")[2] in values


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _unnamed_containers(module: ast.Module) -> Iterator[_Node]:
    for statement in module.body:
        if isinstance(statement, _ASSIGNMENTS) and isinstance(statement.value, _CONTAINERS):
            yield from (statement for name in _targets(statement) if not name.isupper())


def _changes(module: ast.Module) -> Iterator[_Node]:
    names = {
        name
        for statement in module.body
        if isinstance(statement, _ASSIGNMENTS)
        for name in _targets(statement)
    }
    for function in (node for node in ast.walk(module) if isinstance(node, _FUNCTIONS)):
        yield from (decorator for decorator in function.decorator_list if _is_cache(decorator))
        yield from (node for node in _nodes(function) if _changes_one_of(names, node))


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _is_cache(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] in {"cache", "lru_cache"}


def _changes_one_of(names: set[str], node: ast.AST) -> bool:
    if isinstance(node, ast.Global):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in MUTATORS and _is_one_of(names, node.func.value)
    if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return _is_one_of(names, node.value)
    return False


def _nodes(tree: ast.AST) -> Iterator[_Node]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr)))


def _is_one_of(names: set[str], node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in names
