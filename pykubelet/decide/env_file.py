"""Reads the files that containers take environment variables from. No I/O. Source: pkg/kubelet/util/env.

A strict part of what a shell reads: `NAME='value'`, the value in single quotes, over several lines if it likes.
"""


def value(text: str, key: str) -> str:
    """The value of one variable; empty if it is not there. ValueError says which line cannot be read."""
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        line = line.removesuffix("\r").lstrip(" \t")
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        if not equals:
            raise ValueError(f"invalid environment variable format at line {number}: missing '='")
        if not name.strip(" \t"):
            raise ValueError(f"invalid environment variable format at line {number}: empty variable name")
        if name != name.rstrip(" \t"):
            raise ValueError(
                f"invalid environment variable format at line {number}: whitespace before '=' is not allowed"
            )
        if rest[:1] in (" ", "\t"):
            # To a shell this is an empty value, and a command after it.
            found = ""
        elif not rest.startswith("'"):
            raise ValueError(
                f"invalid environment variable format at line {number}: value must be enclosed in single quotes"
            )
        else:
            found, after = rest[1:], ""
            began = number
            while "'" not in found:
                number, more = next(lines, (0, None))
                if more is None:
                    raise ValueError(
                        f"invalid environment variable format starting at line {began}: unclosed single quote"
                    )
                found += f"\n{more.removesuffix(chr(13))}"
            found, _, after = found.partition("'")
            after = after.lstrip(" \t")
            if after and not after.startswith("#"):
                raise ValueError(
                    f"invalid environment variable format at line {number}: unexpected content after closing quote"
                )
        if name == key:
            return found
    return ""
