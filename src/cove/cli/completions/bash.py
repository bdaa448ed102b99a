"""The script for bash."""

from __future__ import annotations

from cove.cli.completions.model import LISTERS, commands, global_options, group_members, top_level

_SCRIPT = r"""# bash completion for cove; made by "cove completion bash"

__cove_names() {
    case $1 in
@LISTERS@
    esac
}

__cove_options() {
    case $1 in
@OPTIONS@
    esac
}

__cove_valued() {
    case $1 in
@VALUED@
    esac
}

__cove_arguments() {
    case $1 in
@ARGUMENTS@
    esac
}

__cove_members() {
    case $1 in
@MEMBERS@
    esac
}

_cove() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local word path="" i=1 skip=""
    COMPREPLY=()
    while ((i < COMP_CWORD)); do
        word=${COMP_WORDS[i]}
        if [[ -n $skip ]]; then
            skip=""
        elif [[ $word == -* ]]; then
            [[ " $(__cove_valued "$path") " == *" $word "* ]] && skip=1
        elif [[ -z $path ]]; then
            path=$word
        elif [[ $path != *" "* && " $(__cove_members "$path") " == *" $word "* ]]; then
            path="$path $word"
        else
            break
        fi
        ((i++))
    done
    if [[ $previous == -* && " $(__cove_valued "$path") " == *" $previous "* ]]; then
        compopt -o default
        return
    fi
    local words
    if [[ $current == -* ]]; then
        words=$(__cove_options "$path")
    else
        words=$(__cove_members "$path")
        [[ -z $words ]] && words=$(__cove_names "$(__cove_arguments "$path")" 2>/dev/null)
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
}

complete -F _cove cove
"""


def script() -> str:
    every = [global_options(), *commands()]
    groups = {"": top_level(), **group_members()}
    parts = {
        "LISTERS": [f"        {kind}) {lister} ;;" for kind, lister in LISTERS.items()],
        "OPTIONS": [_case(entry.path, " ".join(entry.words)) for entry in every],
        "VALUED": [_case(entry.path, " ".join(entry.with_value)) for entry in every],
        "ARGUMENTS": [_case(entry.path, entry.names) for entry in every if entry.names],
        "MEMBERS": [_case(group, " ".join(name for name, _ in rows)) for group, rows in groups.items()],
    }
    text = _SCRIPT
    for name, lines in parts.items():
        text = text.replace(f"@{name}@", "\n".join(lines))
    return text


def _case(label: str, words: str) -> str:
    return f'        "{label}") echo "{words}" ;;'
