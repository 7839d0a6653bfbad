# Completion of @NAME@ for bash. For every shell:
#     @NAME@ completion bash > /etc/bash_completion.d/@NAME@
# For this one: source <(@NAME@ completion bash)

_@NAME@_complete() {
    local rest=$COMP_LINE words=() piece gap i
    # bash cuts words at = and : too: what is one word on the line becomes one again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        rest=${rest#"$piece"}
        if ((i > 0)) && [[ -z $gap && -n $piece$rest ]]; then
            words[${#words[@]} - 1]+=$piece
        elif ((i > 0)) && [[ -z $gap && $COMP_LINE != *[[:space:]] ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
    done
    local program=${words[0]/#\~/$HOME} current=${words[${#words[@]} - 1]}
    local -a lines
    mapfile -t lines < <("$program" __complete "${words[@]:1}" 2>/dev/null)
    # What bash takes for the word begins after its last separator.
    local cut=""
    if [[ $COMP_WORDBREAKS == *[:=]* && $current == *[:=]* ]]; then
        cut=${current%"${current##*[:=]}"}
    fi
    COMPREPLY=()
    case ${lines[0]} in
        :files)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "${current#"$cut"}")
            ;;
        :directories)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "${current#"$cut"}")
            ;;
        *)
            local line word
            for line in "${lines[@]}"; do
                word=${line%%$'\t'*}
                [[ -n $word ]] && COMPREPLY+=("${word#"$cut"}")
            done
            if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=,:] ]]; then
                compopt -o nospace 2>/dev/null
            fi
            ;;
    esac
}

complete -F _@NAME@_complete @NAME@
