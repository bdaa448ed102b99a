"""The script for zsh."""

from __future__ import annotations

from cove.cli.completions.model import LISTERS, Completion, commands, global_options, group_members, top_level

_SCRIPT = r"""#compdef cove
# zsh completion for cove; made by "cove completion zsh"

__cove_names() {
    local -a names
    case $1 in
@LISTERS@
    esac
    compadd -a names
}

_cove() {
    local context state state_descr line
    typeset -A opt_args
    local -a groups words_left
    local path="" i word
    groups=(@GROUPS@)
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        [[ $word == -* ]] && continue
        if [[ -z $path ]]; then
            path=$word
        elif [[ ${groups[(Ie)$path]} -gt 0 && $path != *" "* ]]; then
            path="$path $word"
        fi
    done
    case $path in
@CASES@
    esac
}

_cove "$@"
"""


def script() -> str:
    groups = group_members()
    cases = [_menu("", top_level(), global_options())]
    cases += [_menu(group, rows, None) for group, rows in groups.items()]
    cases += [_command(entry) for entry in commands()]
    listers = [f'        {kind}) names=("${{(@f)$({lister} 2>/dev/null)}}") ;;' for kind, lister in LISTERS.items()]
    text = _SCRIPT.replace("@LISTERS@", "\n".join(listers)).replace("@GROUPS@", " ".join(groups))
    return text.replace("@CASES@", "\n".join(cases))


def _menu(label: str, rows: list[tuple[str, str]], options: Completion | None) -> str:
    listed = " ".join(_quote(f"{name}:{_plain(summary)}") for name, summary in rows)
    lines = [f'        "{label}")', f"            local -a entries; entries=({listed})"]
    if options:
        lines.append(f"            if [[ $PREFIX == -* ]]; then _arguments {_specs(options)}; return; fi")
    return "\n".join([*lines, "            _describe command entries ;;"])


def _command(entry: Completion) -> str:
    names = f" {_quote(f'*:{entry.names}:__cove_names {entry.names}')}" if entry.names else " '*:file:_files'"
    return f'        "{entry.path}") _arguments {_specs(entry)}{names} ;;'


def _specs(entry: Completion) -> str:
    specs = []
    for name, short, help in entry.options:
        value = f":{name}:_files" if f"--{name}" in entry.with_value else ""
        specs.append(_quote(f"*--{name}[{_plain(help)}]{value}"))
        if short:
            specs.append(_quote(f"*-{short}[{_plain(help)}]{value}"))
    return " ".join(specs)


def _plain(text: str) -> str:
    return text.translate({ord(char): None for char in "[]:\\"})


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
