# Completion of ddpipe in bash.
_ddpipe() {
    # Bash breaks words at = and : too; these are put together again. Of the last one only what stands before the cursor counts.
    local rest=$COMP_LINE words=() part i start=0
    for ((i = 0; i <= COMP_CWORD; i++)); do
        local bare=${rest#"${rest%%[![:space:]]*}"}
        part=${COMP_WORDS[i]}
        if [[ $i -eq 0 || $bare != "$rest" || -z $part ]]; then
            start=$((${#COMP_LINE} - ${#bare}))
            ((start > COMP_POINT)) && start=$COMP_POINT
            words+=("$part")
        else
            words[${#words[@]} - 1]+=$part
        fi
        rest=${bare#"$part"}
    done
    local last=$((${#words[@]} - 1)) typed=${COMP_LINE:start:COMP_POINT-start}
    words[last]=$typed
    words=("${words[@]//[\'\"\\]/}")
    # What bash will replace begins after the last break, unless a quotation is open.
    local before="" letter
    if [[ $typed != [\'\"]* ]]; then
        for letter in = :; do
            if [[ $COMP_WORDBREAKS == *"$letter"* && ${words[last]} == *"$letter"* ]]; then
                local until=${words[last]%"$letter"*}$letter
                ((${#until} > ${#before})) && before=$until
            fi
        done
    fi
    local offered found=()
    offered=$(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$last _CLAP_COMPLETE_COMP_TYPE=$COMP_TYPE _CLAP_COMPLETE_SPACE=true \
            DDPIPE_COMPLETE=bash ddpipe -- "${words[@]}" 2>/dev/null
    ) || return
    while IFS= read -r part; do
        # After `--select=` only the value is offered.
        [[ $part == "$before"* ]] && part=${part#"$before"}
        [[ -z $part ]] && continue
        [[ $typed != [\'\"]* && $part == *[!A-Za-z0-9_./=,:+%@\[\]-]* ]] && printf -v part %q "$part"
        found+=("$part")
    done <<<"$offered"
    COMPREPLY=("${found[@]}")
    # A space follows, but not on what goes on.
    if ((${#found[@]} == 1)) && [[ ${found[0]} != *[=/:] ]]; then
        compopt +o nospace 2>/dev/null
    fi
}
if ((BASH_VERSINFO[0] > 4 || BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4)); then
    complete -o nospace -o bashdefault -o nosort -F _ddpipe ddpipe
else
    complete -o nospace -o bashdefault -F _ddpipe ddpipe
fi
