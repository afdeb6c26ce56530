# completion.bash - completion of halfspec in bash. Commands, keys and choices are asked of the program itself, so nothing here can go stale.
_halfspec()
{
    local cur prev words cword command key
    COMPREPLY=()
    if declare -F _init_completion > /dev/null; then
        _init_completion -n = || return # "key=value" is one word
    else
        cur=${COMP_WORDS[COMP_CWORD]} cword=$COMP_CWORD words=("${COMP_WORDS[@]}") prev=${COMP_WORDS[COMP_CWORD - 1]}
    fi
    local program=${words[0]}
    if ((cword == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help --commands 2> /dev/null) --help --version" -- "$cur")
        return
    fi
    command=${words[1]}
    case $command in
    help)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help --commands 2> /dev/null) keys net data files codes $("$program" help --keys 2> /dev/null)" -- "$cur")
        return
        ;;
    info | check | pack)
        compopt -o default
        return
        ;;
    train | eval | bench | config) ;;
    *) return ;;
    esac
    if [[ $prev == --predictions || $prev == --json && $command == bench ]]; then
        compopt -o default
    elif [[ $cur == -* ]]; then
        case $command in
        train) mapfile -t COMPREPLY < <(compgen -W "--dry-run --help" -- "$cur") ;;
        eval) mapfile -t COMPREPLY < <(compgen -W "--predictions --inputs --help" -- "$cur") ;;
        bench) mapfile -t COMPREPLY < <(compgen -W "--seconds --json --no-errors --model-scaling --links --help" -- "$cur") ;;
        config) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$cur") ;;
        esac
    elif [[ $cur == *=* ]]; then
        key=${cur%%=*}
        mapfile -t COMPREPLY < <(compgen -P "$key=" -W "$("$program" help --choices "$key" 2> /dev/null)" -- "${cur#*=}")
        # Bash completes behind the last '=' when that is a word break: leave the key away then.
        if [[ $COMP_WORDBREAKS == *=* ]]; then
            COMPREPLY=("${COMPREPLY[@]#"$key="}")
        fi
    elif [[ $command == bench && $cur != *[./]* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "transforms products layers step allreduce $("$program" help --keys 2> /dev/null | sed 's/$/=/')" -- "$cur")
        if [[ ${COMPREPLY[*]} == *= ]]; then
            compopt -o nospace
        fi
    elif ((cword == 2)); then
        compopt -o default # the configuration, or a run
    else
        mapfile -t COMPREPLY < <(compgen -S = -W "$("$program" help --keys 2> /dev/null)" -- "$cur")
        compopt -o nospace
    fi
}
complete -F _halfspec halfspec
