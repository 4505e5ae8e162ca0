"""`$(NAME)` references in commands, values and sub-paths. No I/O. Source: third_party/forked/golang/expansion."""

from collections.abc import Callable, Mapping


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; `$$` is a dollar sign; a name without value stays as written."""
    return _expand(text, lambda name: values.get(name, f"$({name})"))


def expand_strictly(text: str, values: Mapping[str, str]) -> str:
    """As `expand`, but a name without value is a KeyError."""
    return _expand(text, values.__getitem__)


def _expand(text: str, value_of: Callable[[str], str]) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out.append(text[at])
            at += 1
        elif text[at + 1] == "$":
            out.append("$")
            at += 2
        elif text[at + 1] == "(" and (end := text.find(")", at + 2)) != -1:
            out.append(value_of(text[at + 2 : end]))
            at = end + 1
        else:
            out.append(text[at : at + 2])
            at += 2
    return "".join(out)
