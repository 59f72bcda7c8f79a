"""The text of a config as data: its assignments are read, not run."""
import ast


def parse_config_text(text: str, strict: bool = False) -> dict:
    """Read what ``Config.pretty_text`` wrote, as it lies in the meta of checkpoints, without running it.

    Only assignments of plain values and ``dict(...)`` are understood, which is all that mmengine writes.

    Args:
        strict: refuse a text that holds anything else, such as a call; by default that is left out.

    Raises:
        ValueError: of ``strict``, with the line.
    """
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # ValueError: a byte 0
        if strict:
            raise ValueError(f'it is no list of assignments ({error})') from None
        return {}
    values = {}
    for line in lines:
        try:
            name, value = _assignment(line)
        except (ValueError, TypeError, RecursionError):  # TypeError: a list as a key
            if strict:
                raise ValueError(f'line {line.lineno} assigns no plain value: '
                                 f'{text.splitlines()[line.lineno - 1].strip()[:80]!r}') from None
        else:
            values[name] = value
    return values


def _assignment(line: ast.stmt) -> tuple:
    """Name and value; raises ValueError or TypeError if it is no assignment of a plain value."""
    if not isinstance(line, ast.Assign) or len(line.targets) > 1 or not isinstance(line.targets[0], ast.Name):
        raise ValueError
    return line.targets[0].id, _plain_value(line.value)


def _plain_value(node: ast.expr):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        if any(keyword.arg is None for keyword in node.keywords):  # dict(**...)
            raise ValueError
        return {keyword.arg: _plain_value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_plain_value(key): _plain_value(value) for key, value in zip(node.keys, node.values)}
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_plain_value(element) for element in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)
