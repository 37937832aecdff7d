"""Validate the config text that a checkpoint carries: mmengine executes it as Python."""

import ast
import logging
import sys

from mmengine.logging import print_log


def is_plain_data(text: str) -> bool:
    """Whether parsing ``text`` as a config can do nothing but build data.

    ``Config.pretty_text``, which mmengine stores, consists of assignments of literals and
    ``dict(...)`` only. Everything else counts as executable: other calls, names and statements,
    bases, ``{{ }}`` placeholders (mmengine pastes their defaults into the source before it runs
    it) and ``custom_imports`` of modules that are not imported yet.
    """
    try:
        return "{{" not in text and all(map(_assigns_data, ast.parse(text).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def drop_executable_config(checkpoint: dict, source: str) -> None:
    """Remove config texts that are not plain data from ``checkpoint``, in place, with a warning.

    ``Runner.resume`` executes ``meta['config']``, mmengine's inferencers ``runtime_info['cfg']``
    or ``meta['cfg']`` when they are given no config.
    """
    meta = _child(checkpoint, "meta")
    runtime_info = _child(_child(checkpoint, "message_hub"), "runtime_info")
    for holder, key in ((meta, "config"), (meta, "cfg"), (runtime_info, "cfg")):
        text = holder.get(key)
        if isinstance(text, str) and not is_plain_data(text):
            del holder[key]
            print_log(
                f"{source}: ignored the stored config '{key}', which holds more than plain data "
                "and would run as Python code; give the config file yourself where one is needed.",
                logger="current",
                level=logging.WARNING,
            )


def _child(parent: dict, key: str) -> dict:
    child = parent.get(key)
    return child if isinstance(child, dict) else {}


def _assigns_data(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign):
        return False
    names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
    if len(names) < len(statement.targets) or "_base_" in names:
        return False
    if "custom_imports" in names and not _strings(statement.value) <= sys.modules.keys():
        return False
    return _is_data(statement.value)


def _strings(node: ast.expr) -> set[str]:
    constants = (child.value for child in ast.walk(node) if isinstance(child, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def _is_data(node: ast.expr | None) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return isinstance(operand, ast.Constant)
        case ast.List() | ast.Tuple() | ast.Set():
            return all(map(_is_data, node.elts))
        case ast.Dict():
            return all(map(_is_data, [*node.keys, *node.values]))
        case ast.Call(func=ast.Name(id="dict")):
            return all(map(_is_data, [*node.args, *(keyword.value for keyword in node.keywords)]))
    return False
