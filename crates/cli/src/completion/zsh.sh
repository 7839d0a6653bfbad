#compdef @NAME@
# Completion of @NAME@ for zsh. For every shell:
#     @NAME@ completion zsh > "${fpath[1]}/_@NAME@"
# For this one: source <(@NAME@ completion zsh)

_@NAME@() {
    local -a lines described
    local line word about prefix=""
    lines=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    # The value of a flag in the same word is completed by itself.
    if [[ $PREFIX == --*=* ]]; then
        prefix=${PREFIX%%=*}=
        compset -P '*='
    fi
    case ${lines[1]} in
        ('') return 1 ;;
        (:files) _files && return 0 ;;
        (:directories) _files -/ && return 0 ;;
    esac
    for line in "${lines[@]}"; do
        word=${${line%%$'\t'*}#"$prefix"}
        about=${line#*$'\t'}
        described+=("${word//:/\\:}:$about")
    done
    if [[ ${#described} -eq 1 && $word == *[=,] ]]; then
        _describe '@NAME@' described -S ''
    else
        _describe '@NAME@' described
    fi
}

if [[ ${funcstack[1]} == _@NAME@ ]]; then
    _@NAME@ "$@"
else
    compdef _@NAME@ @NAME@
fi
