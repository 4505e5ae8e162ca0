"""Run a program to its end; a failure becomes a DevClusterError that quotes what it said."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster.errors import DevClusterError


def run(
    what: str,
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
) -> str:
    """Its standard output. `what` names the step in the error; `env` is added to ours."""
    args = [str(arg) for arg in argv]
    try:
        done = subprocess.run(
            args,
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as error:
        raise DevClusterError(what, f"there is no program {args[0]}", hint=f"install {args[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise DevClusterError(what, f"`{shlex.join(args)}` did not end within {timeout:g} s") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise DevClusterError(what, f"`{shlex.join(args)[:300]}` ended with {done.returncode}: {' / '.join(said[-4:])}")
    return done.stdout


def logged(
    what: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 3600,
) -> None:
    """Run a long program whose output goes to `log`; the error names that log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    args = [str(arg) for arg in argv]
    with log.open("ab") as out:
        out.write(f"$ {shlex.join(args)}\n".encode())
        out.flush()
        try:
            done = subprocess.run(
                args,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                timeout=timeout,
            )
        except FileNotFoundError as error:
            raise DevClusterError(what, f"there is no program {args[0]}", log=log) from error
        except subprocess.TimeoutExpired as error:
            raise DevClusterError(what, f"not done within {timeout:g} s", log=log) from error
    if done.returncode:
        raise DevClusterError(what, f"`{args[0]} ...` ended with {done.returncode}", log=log)


def has(program: str) -> bool:
    """Whether a program is on PATH (or in the sbin folders sudo may leave out)."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin") is not None
