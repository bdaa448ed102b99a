"""The script for fish."""

from __future__ import annotations

from cove.cli.completions.model import LISTERS, Completion, commands, global_options, group_members, top_level

_HEAD = r"""# fish completion for cove; made by "cove completion fish"

function __cove_path
    set -l groups @GROUPS@
    set -l path
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        if test (count $path) -eq 0
            set path $word
        else if test (count $path) -eq 1; and contains -- $path[1] $groups
            set -a path $word
        end
    end
    echo "$path"
end

function __cove_at
    test (__cove_path) = "$argv"
end

complete -c cove -f
"""


def script() -> str:
    groups = group_members()
    lines = [_HEAD.replace("@GROUPS@", " ".join(groups))]
    for group, rows in {"": top_level(), **groups}.items():
        lines += [f"complete -c cove -n {_at(group)} -a {name} -d {_quote(summary)}" for name, summary in rows]
    for entry in [global_options(), *commands()]:
        lines += _options(entry)
    return "\n".join(lines) + "\n"


def _options(entry: Completion) -> list[str]:
    lines = []
    for name, short, help in entry.options:
        flags = f"-l {name}" + (f" -s {short}" if short else "")
        value = " -r -F" if f"--{name}" in entry.with_value else ""
        lines.append(f"complete -c cove -n {_at(entry.path)} {flags}{value} -d {_quote(help)}")
    if entry.names:
        lines.append(f"complete -c cove -n {_at(entry.path)} -a {_quote(f'({LISTERS[entry.names]})')}")
    return lines


def _at(path: str) -> str:
    return _quote(f'__cove_at "{path}"')


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
