"""`hft completion`: print what makes a shell complete subcommands, groups, options and keys."""

from __future__ import annotations

import argparse

from hft.cli.commands import COMMANDS

SHELLS = ("bash", "zsh", "fish")

_HOW_TO = """print shell completion. To use it:
  bash: eval "$(hft completion bash)"     in ~/.bashrc
  zsh:  eval "$(hft completion zsh)"      in ~/.zshrc, after compinit
  fish: hft completion fish | source      in ~/.config/fish/config.fish"""

# Hydra itself completes overrides: it is asked for the candidates, one a line, through `hft train -sc query=fish`.
_BASH = """\
_hft_runs_and_models() {
    "$1" runs --json 2>/dev/null | sed -n 's/.*"run_id": "\\([0-9a-f]\\{8\\}\\).*/\\1/p'
    if [[ "$2" == evaluate ]]; then
        COMP_LINE="hft model=" "$1" train -sc query=fish 2>/dev/null | sed -n 's/^model=//p'
    fi
}
_hft_complete() {
    local line="${COMP_LINE:0:$COMP_POINT}"
    local current="${line##* }"
    local reply
    COMPREPLY=()
    if (( COMP_CWORD <= 1 )); then
        COMPREPLY=($(compgen -W "@COMMANDS@" -- "$current"))
        return
    fi
    case "${COMP_WORDS[1]}" in
        train|check) ;;
        completion) COMPREPLY=($(compgen -W "@SHELLS@" -- "$current")); return ;;
        reproduce|compare|evaluate)
            compopt -o default 2>/dev/null
            COMPREPLY=($(compgen -W "$(_hft_runs_and_models "${COMP_WORDS[@]:0:2}")" -- "$current"))
            return ;;
        *) compopt -o default 2>/dev/null; return ;;
    esac
    # What stands before the last = was typed already: bash takes = for the start of a new word.
    local typed=""
    if [[ "$COMP_WORDBREAKS" == *=* && "$current" == *=* ]]; then
        typed="${current%"${current##*=}"}"
    fi
    while IFS= read -r reply; do
        if [[ "$reply" == "$current"* ]]; then
            COMPREPLY+=("${reply#"$typed"}")
        fi
    done < <(COMP_LINE="hft${line#*"${COMP_WORDS[1]}"}" "${COMP_WORDS[0]}" train -sc query=fish 2>/dev/null)
    if [[ "${COMPREPLY[0]}" == *[=./] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _hft_complete hft
"""

_ZSH = """\
_hft_complete() {
    local -a found
    if (( CURRENT == 2 )); then
        compadd -- @COMMANDS@
        return
    fi
    case "$words[2]" in
        train|check)
            found=("${(@f)$(COMP_LINE="hft ${(j: :)words[3,CURRENT]}" $words[1] train -sc query=fish 2>/dev/null)}")
            compadd -Q -S '' -- $found ;;
        completion) compadd -- @SHELLS@ ;;
        *) _files ;;
    esac
}
compdef _hft_complete hft
"""

_FISH = """\
function __hft_overrides
    set -l words (commandline -opc)
    set -lx COMP_LINE "hft $words[3..-1] "(commandline -ct)
    $words[1] train -sc query=fish 2>/dev/null
end
complete -c hft -n '__fish_is_first_arg' -f -a '@COMMANDS@'
complete -c hft -n '__fish_seen_subcommand_from train check' -f -a '(__hft_overrides)'
complete -c hft -n '__fish_seen_subcommand_from completion' -f -a '@SHELLS@'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft completion`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HOW_TO
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    script = _SCRIPTS[args.shell]
    print(script.replace("@COMMANDS@", " ".join(COMMANDS)).replace("@SHELLS@", " ".join(SHELLS)), end="")
    return 0
